"""How a run comes along, told as plain lines: one a stage, one an epoch. What a terminal shows is in ``live``.

Telling never fails a run: where nobody reads any more, it falls silent.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from threading import Lock
from typing import TYPE_CHECKING, TextIO

from nnpipe.cli.text import duration, measure, per_sample
from nnpipe.pipeline.event_log import EventLog, LoggedStages
from nnpipe.stages.work import UNTOLD, Observer, Silent

if TYPE_CHECKING:
    from nnpipe.pipeline.plan import Plan


@contextmanager
def watching(plan: Plan, stream: TextIO, *, quiet: bool, log: EventLog | None = None) -> Iterator[Observer]:
    """An observer for a run of ``plan``: live on a terminal if something is to be computed, else plain lines.

    log: where the run is written instead.
    """
    width = max(len(planned.stage.name) for planned in plan.stages)
    terminal = stream.isatty() and os.environ.get("TERM", "dumb") != "dumb"
    if quiet:
        yield Silent()
    elif log is not None:
        yield LoggedStages(log)
    elif plan.nothing_to_do or not terminal:
        yield Lines(stream, width)
    else:
        from rich.console import Console

        from nnpipe.cli.live import Tree

        with Tree(plan, Console(file=stream, highlight=False)) as tree:
            yield tree


class Lines:
    """Plain lines on a stream; names of stages are padded to ``width``, and each line begins with ``prefix``."""

    def __init__(self, stream: TextIO, width: int, prefix: str = "") -> None:
        self._stream: TextIO | None = stream
        self._width, self._prefix, self._lock = width, prefix, Lock()

    def started(self, stage: str) -> None: ...

    def advanced(self, stage: str, done: int, total: int, measures: Mapping[str, float]) -> None: ...

    def epoch(self, stage: str, record: Mapping[str, float], epochs: int) -> None:
        self._write(f"{stage:<{self._width}}  {epoch_line(record, epochs)}")

    def waiting(self, stage: str, owner: str) -> None:
        self._write(f"{stage:<{self._width}}  {waiting_line(owner)}")

    def finished(self, stage: str, status: str, seconds: float) -> None:
        took = "" if status == "reused" else f"  {duration(seconds)}"
        self._write(f"{stage:<{self._width}}  {status}{took}")

    def _write(self, line: str) -> None:
        with self._lock:
            if self._stream is None:
                return
            try:
                print(f"{self._prefix}{line}\n", end="", file=self._stream, flush=True)  # whole, among other lines
            except BrokenPipeError:
                self._stream = None


def waiting_line(owner: str) -> str:
    """Whom a stage waits for."""
    return f"waits for {owner}, which computes the same"


def epoch_line(record: Mapping[str, float], epochs: int) -> str:
    """An epoch as Keras tells it: ``epoch 3/10 - 43s - 717us/sample - loss: 0.0421 - accuracy: 0.9871``."""
    words = [f"epoch {record['epoch']:.0f}/{epochs}", duration(record["seconds"])]
    if record["examples"]:
        words.append(per_sample(record["seconds"] / record["examples"]))
    words += [f"{name}: {measure(value)}" for name, value in record.items() if name not in UNTOLD]
    return " - ".join(words)
