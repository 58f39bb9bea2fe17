"""The command line as a process: ``nnpipe``, or ``python -m nnpipe``."""

from __future__ import annotations

import atexit
import os
import sys
from contextlib import suppress
from typing import NoReturn

from nnpipe.cli import main


def command() -> NoReturn:
    """Carry out the process's command line, and end with its exit status.

    The interpreter is not taken apart: that takes a second once torch is loaded, and there is nothing left to close.
    """
    statuses: list[int] = []

    def end() -> None:
        for stream in (sys.stdout, sys.stderr):
            with suppress(OSError):
                stream.flush()
        if statuses:
            os._exit(statuses[0])

    # What is registered first is called last, when all threads have ended.
    atexit.register(end)
    statuses.append(main())
    sys.exit(statuses[0])


if __name__ == "__main__":
    command()
