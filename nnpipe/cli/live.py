"""How a run comes along, on a terminal: the stages, a bar for the epoch under way, and finished epochs above them.

State changes under one lock; printing and drawing happen outside it, since both take rich's own lock.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from threading import Lock
from types import TracebackType
from typing import TYPE_CHECKING

from rich.console import Console, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from nnpipe.cli.progress import epoch_line, waiting_line
from nnpipe.cli.text import clock, duration, measure
from nnpipe.stages.work import UNTOLD

if TYPE_CHECKING:
    from nnpipe.pipeline.plan import Plan

MARKS = {"pending": ("·", "dim"), "reused": ("✓", "dim"), "interrupted": ("‖", "yellow"), "failed": ("✗", "red")}
BAR = (6, 32)  # columns, at least and at most


@dataclass
class Row:
    """A stage as the tree shows it.

    epochs: that it will learn, 0 if it does not learn.
    epoch: the one under way; None while unknown (a resumed stage tells with its first record).
    begun: when the epoch under way was first heard of, and how many examples it had done then.
    """

    epochs: int = 0
    epoch: int | None = 1
    status: str = "pending"
    since: float = 0.0
    seconds: float = 0.0
    done: int = 0
    total: int = 0
    measures: Mapping[str, float] = field(default_factory=dict)
    begun: tuple[float, int] | None = None

    def rate(self) -> float | None:
        """Examples a second, of the epoch under way."""
        if self.begun is None or self.done <= self.begun[1]:
            return None
        return (self.done - self.begun[1]) / max(time.monotonic() - self.begun[0], 1e-9)

    def left(self) -> float | None:
        """Seconds until the last epoch ends; until this pass ends where epochs are unknown."""
        rate = self.rate()
        if rate is None:
            return None
        further = self.epochs - self.epoch if self.epochs and self.epoch else 0
        return (self.total - self.done + further * self.total) / rate


class Tree:
    """An observer that draws on ``console`` while it is entered."""

    def __init__(self, plan: Plan, console: Console) -> None:
        self._lock, self._console = Lock(), console
        self._rows = {
            planned.stage.name: Row(planned.stage.epochs, None if planned.status == "resume" else 1)
            for planned in plan.stages
        }
        self._width = max(map(len, self._rows))
        self._spinner = Spinner("dots", style="cyan")
        self._live = Live(console=console, get_renderable=self.draw, refresh_per_second=8)

    def __enter__(self) -> Tree:
        self._live.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._live.stop()

    # -- what is told ------------------------------------------------------------------------------------------

    def started(self, stage: str) -> None:
        with self._lock:
            row = self._rows[stage]
            row.status, row.since = "running", time.monotonic()

    def advanced(self, stage: str, done: int, total: int, measures: Mapping[str, float]) -> None:
        with self._lock:
            row = self._rows[stage]
            row.done, row.total, row.measures = done, total, dict(measures)
            row.begun = row.begun or (time.monotonic(), done)

    def epoch(self, stage: str, record: Mapping[str, float], epochs: int) -> None:
        with self._lock:
            row = self._rows[stage]
            row.epoch, row.epochs, row.done = min(int(record["epoch"]) + 1, epochs), epochs, 0
            row.total, row.begun = int(record["examples"]), (time.monotonic(), 0)
        self._console.print(Text(f"{stage:<{self._width}}  {epoch_line(record, epochs)}"))

    def waiting(self, stage: str, owner: str) -> None:
        self._console.print(Text(f"{stage:<{self._width}}  {waiting_line(owner)}"))

    def finished(self, stage: str, status: str, seconds: float) -> None:
        with self._lock:
            row = self._rows[stage]
            row.status, row.seconds = status, seconds

    # -- what is drawn -----------------------------------------------------------------------------------------

    def draw(self) -> RenderableType:
        """The stages, in order, and two lines more for each that is under way."""
        with self._lock:
            table = Table.grid()
            for name, row in self._rows.items():
                table.add_row(self._stage(name, row))
                if row.status == "running" and row.total:
                    table.add_row(self._bar(row))
                    if row.measures:
                        table.add_row(_measures(row))
            return table

    def _stage(self, name: str, row: Row) -> RenderableType:
        line = Table.grid(padding=(0, 1))
        if row.status == "running":
            took = duration(time.monotonic() - row.since)
            line.add_row(self._spinner.render(time.monotonic()), Text(f"{name:<{self._width}}", "bold"), took)
            return line
        mark, style = MARKS.get(row.status, ("✓", "green"))
        told = "" if row.status == "pending" else row.status
        took = duration(row.seconds) if row.status not in ("pending", "reused") else ""
        line.add_row(Text(mark, style), Text(f"{name:<{self._width}}", style if style == "dim" else ""), told, took)
        return line

    def _bar(self, row: Row) -> RenderableType:
        before = f"epoch {row.epoch}/{row.epochs}" if row.epochs and row.epoch else f"{row.done:,}/{row.total:,}"
        rate, left = row.rate(), row.left()
        after = f"{row.done / row.total:>4.0%}"
        if rate and row.epochs:
            after += f" {rate:,.0f}/s"
        if left is not None:
            after += f" {clock(left)}"
        room = self._console.width - len(before) - len(after) - 6
        bar = ProgressBar(row.total, row.done, width=min(max(room, BAR[0]), BAR[1]))
        line = Table.grid(padding=(0, 1))
        line.add_row("  ", Text(before, no_wrap=True), bar, Text(after, no_wrap=True))
        return line


def _measures(row: Row) -> Text:
    told = (f"{name.replace('_', ' ')} {measure(v)}" for name, v in row.measures.items() if name not in UNTOLD)
    return Text("    " + "  ".join(told), "dim", no_wrap=True, overflow="ellipsis")
