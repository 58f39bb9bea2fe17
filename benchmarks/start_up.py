"""``nnpipe --help``, beside a Python that does nothing."""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.measure import Options, Result, Row, Target, figures, take_turns
from benchmarks.processes import NNPIPE, timed, turn

ROUNDS = 21
HELP, NOTHING = "nnpipe --help", "python -c pass"


def run(options: Options) -> Result:
    """Whole processes, by the wall."""
    with TemporaryDirectory() as folder:
        commands: dict[str, tuple[str, ...]] = {HELP: (*NNPIPE, "--help"), NOTHING: (sys.executable, "-c", "pass")}
        for words in commands.values():
            timed(words, Path(folder))  # compiles what was never imported, and reads files from the disk
        turns = take_turns(
            {name: partial(turn, words, Path(folder)) for name, words in commands.items()},
            options.rounds_or(ROUNDS),
        )
    ours, theirs = figures(turns[HELP]), figures(turns[NOTHING])
    row = Row(HELP, NOTHING, "s", ours, theirs, Target("more", 0.15))
    return Result(
        "Whole processes, by the wall; the first of each, which reads files from the disk, not counted.", (row,)
    )
