"""Texts of variable length in HDF5 files of strangers.

Keras writes such, and in a damaged file HDF5 2.0 may search for one without an end. So a process of its own reads them,
which can be stopped.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from nnpipe.errors import DataError

SECONDS = 20.0  # a text is there within one, or not at all

READ = """
import sys
import h5py
try:
    import resource
    resource.setrlimit(resource.RLIMIT_AS, (4 << 30, 4 << 30))
except (ImportError, ValueError):
    pass
with h5py.File(sys.argv[1], "r") as file:
    text = file.attrs[sys.argv[2]]
sys.stdout.buffer.write(text.encode() if isinstance(text, str) else bytes(text))
"""


def read_variable_text(path: Path, name: str) -> str:
    """The attribute ``name`` of the root of the HDF5 file at ``path``, a text of variable length.

    Raises:
        DataError: it cannot be read.
    """
    command = [sys.executable, "-I", "-c", READ, str(path.resolve()), name]
    try:
        done = subprocess.run(command, capture_output=True, timeout=SECONDS, check=False, stdin=subprocess.DEVNULL)
        if done.returncode == 0:
            return done.stdout.decode()
        found = (done.stderr.decode(errors="replace").strip().splitlines() or [f"exit status {done.returncode}"])[-1]
    except subprocess.TimeoutExpired:
        found = f"no end within {SECONDS:g} s"
    except UnicodeDecodeError as error:
        found = str(error)
    raise DataError("a text that cannot be read", where=f"{path}:{name}", found=found)
