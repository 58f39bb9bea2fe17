"""The log of what nobody watches: one event a line, as text for people or as JSON objects for programs.

Writing it never fails a run: where nobody reads any more, it falls silent.
"""

from __future__ import annotations

import json
import math
import os
import sys
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from threading import Lock
from typing import TYPE_CHECKING, Any, Literal, TextIO, cast

from nnpipe.errors import UsageError, nearest
from nnpipe.stages.work import UNTOLD, Silent

if TYPE_CHECKING:
    from nnpipe.pipeline.run import Run

LogFormat = Literal["text", "json"]
Level = Literal["info", "warning", "error"]
LOG_FORMAT = "NNPIPE_LOG_FORMAT"  # where runs that others start, a worker among them, look for the format


class EventLog:
    """Writes events on ``stream``; ``spec`` is told with each of them, where there is one."""

    def __init__(self, stream: TextIO, format: LogFormat = "text", spec: str | None = None) -> None:  # noqa: A002
        self.format, self.spec = format, spec
        self._stream: TextIO | None = stream
        self._lock = Lock()

    @classmethod
    def of_environment(cls, spec: str | None = None) -> EventLog:
        """On stderr, in the format of ``NNPIPE_LOG_FORMAT``, or else as text."""
        chosen = os.environ.get(LOG_FORMAT) or "text"
        if chosen not in ("text", "json"):
            hint = nearest(chosen, ("text", "json"))
            raise UsageError("no such log format", where=LOG_FORMAT, expected="text or json", found=chosen, hint=hint)
        return cls(sys.stderr, cast(LogFormat, chosen), spec)

    def write(self, event: str, message: str, *, level: Level = "info", **fields: Any) -> None:
        """Write an event: what kind, in words, and facts, of which those that are None are left out."""
        line = self._object(event, message, level, fields) if self.format == "json" else self._text(message, level)
        with self._lock:
            if self._stream is None:
                return
            try:
                print(f"{line}\n", end="", file=self._stream, flush=True)
            except (BrokenPipeError, ValueError):  # ValueError: it is closed
                self._stream = None

    def ended(self, run: Run) -> None:
        """Write how a run ended, with what it measured."""
        self.write(
            "run",
            run.told,
            level="info" if run.status == "done" else "error",
            run=run.run,
            status=run.status,
            seconds=run.seconds,
            metrics=run.metrics,
        )

    @contextmanager
    def of_this_process(self) -> Iterator[None]:
        """Within it ``warn`` writes here, and so do Python's warnings where programs read the log."""
        global _log

        def show(message: Warning | str, category: type[Warning], *_: object, **__: object) -> None:
            self.write("warning", f"{category.__name__}: {message}", level="warning")

        before, _log = _log, self
        try:
            with warnings.catch_warnings():
                if self.format == "json":
                    warnings.showwarning = show
                yield
        finally:
            _log = before

    def _object(self, event: str, message: str, level: Level, fields: Mapping[str, Any]) -> str:
        now = datetime.now(UTC).isoformat(timespec="milliseconds")
        whole = {"time": now, "level": level, "event": event, "spec": self.spec, **fields, "message": message}
        return json.dumps({name: _finite(value) for name, value in whole.items() if value is not None})

    def _text(self, message: str, level: Level) -> str:
        words = [f"{datetime.now():%Y-%m-%d %H:%M:%S}", *([self.spec] if self.spec else [])]
        return "  ".join([*words, message if level == "info" else f"{level}: {message}"])


_log: EventLog | None = None


def warn(message: str) -> None:
    """Tell what ends nothing but should be known: in the log of this process, or else on stderr."""
    if _log:
        _log.write("warning", message, level="warning")
    else:
        print(message, file=sys.stderr)


class LoggedStages(Silent):
    """An observer that writes down the stages of a run and their epochs."""

    def __init__(self, log: EventLog) -> None:
        self._log = log

    def epoch(self, stage: str, record: Mapping[str, float], epochs: int) -> None:
        number, measures = int(record["epoch"]), {name: value for name, value in record.items() if name not in UNTOLD}
        told = ", ".join([f"{stage}: epoch {number} of {epochs}", *(f"{n} {v:.4g}" for n, v in measures.items())])
        self._log.write(
            "epoch", told, stage=stage, epoch=number, epochs=epochs, seconds=record["seconds"], metrics=measures
        )

    def waiting(self, stage: str, owner: str) -> None:
        self._log.write("waiting", f"{stage}: waits for {owner}, which computes the same", stage=stage)

    def finished(self, stage: str, status: str, seconds: float) -> None:
        level: Level = "error" if status == "failed" else "info"
        took = "" if status == "reused" else f" in {seconds:.3g} s"
        self._log.write("stage", f"{stage}: {status}{took}", level=level, stage=stage, status=status, seconds=seconds)


def _finite(value: Any) -> Any:
    """``value`` for JSON, which knows neither infinities nor nan."""
    if isinstance(value, Mapping):
        return {name: _finite(each) for name, each in value.items()}
    return None if isinstance(value, float) and not math.isfinite(value) else value
