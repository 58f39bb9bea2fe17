"""``python -m nnpipe``: the command line."""

import sys

from nnpipe.cli import main

if __name__ == "__main__":
    sys.exit(main())
