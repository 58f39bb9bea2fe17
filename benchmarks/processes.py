"""Whole processes, timed: what a person waits for who types a command."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from benchmarks.measure import Turn

NNPIPE = (sys.executable, "-m", "nnpipe")


class Ended(NamedTuple):
    """A process that ended well."""

    seconds: float
    output: str


def timed(words: Sequence[str | Path], folder: Path, **variables: str) -> Ended:
    """Carry out a command in ``folder``; ``variables`` join the environment.

    Raises:
        RuntimeError: it failed; with its last words.
    """
    started = time.perf_counter()
    done = subprocess.run(
        words,
        cwd=folder,
        env={**os.environ, **variables},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    took = time.perf_counter() - started
    if done.returncode:
        last = "\n".join(done.stdout.strip().splitlines()[-5:])
        raise RuntimeError(f"{' '.join(map(str, words))} ended with status {done.returncode}: {last}")
    return Ended(took, done.stdout)


def turn(words: Sequence[str | Path], folder: Path, _round: int) -> Turn:
    """The seconds of a command, as ``take_turns`` wants them."""
    return Turn(timed(words, folder).seconds)


def command(name: str) -> str | None:
    """The path of a command beside this Python, or else on PATH; None where there is none."""
    beside = str(Path(sys.executable).parent)
    return shutil.which(name, path=os.pathsep.join([beside, os.environ.get("PATH", "")]))
