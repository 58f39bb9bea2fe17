"""Figures, and what they come to: competitors take turns in rounds, and every figure is kept.

A comparison is made in each round, of what was measured next to each other, and the median of these is told: whatever
else the machine does disturbs a round's figures alike, and so their ratio less than themselves.
"""

from __future__ import annotations

import gc
import math
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from statistics import median
from typing import Literal, NamedTuple

Unit = Literal["s", "images/s", "%"]  # of images/s more is better, of the others less
Comparison = Literal["times as fast", "times as long", "more", "alone"]


class Absent(Exception):
    """What a benchmark cannot do without is not here; the message says what."""


@dataclass(frozen=True)
class Options:
    """How much to measure.

    rounds: None leaves it to the benchmark. quick: sizes so small that only whether it runs is learnt.
    """

    rounds: int | None = None
    quick: bool = False
    threads: int = 2

    def rounds_or(self, usual: int) -> int:
        """``rounds``, or else the benchmark's usual number, or one if it is to be quick."""
        return self.rounds or (1 if self.quick else usual)


class Turn(NamedTuple):
    """What one competitor did in one round. quality: what it learnt, where it learnt something."""

    figure: float
    quality: float = math.nan


def take_turns(competitors: Mapping[str, Callable[[int], Turn]], rounds: int) -> dict[str, list[Turn]]:
    """Let each do its work once a round, and begin each round with another one. They are handed the round's number."""
    names = list(competitors)
    turns: dict[str, list[Turn]] = {name: [] for name in names}
    for round_ in range(rounds):
        first = round_ % len(names)
        for name in names[first:] + names[:first]:
            gc.collect()
            turn = competitors[name](round_)
            turns[name].append(turn)
            print(f"  round {round_ + 1} of {rounds}: {name} {number(turn.figure)}", file=sys.stderr, flush=True)
    return turns


def figures(turns: Iterable[Turn]) -> tuple[float, ...]:
    """The figures alone, one a round."""
    return tuple(turn.figure for turn in turns)


def quality(turns: Iterable[Turn]) -> float:
    """The median over rounds of what was learnt."""
    return median(turn.quality for turn in turns)


def seconds(work: Callable[[], object]) -> float:
    """How long ``work`` takes by the wall."""
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


@dataclass(frozen=True)
class Target:
    """What is asked: at least ``bound`` times as fast; of all other comparisons, at most ``bound``."""

    comparison: Comparison
    bound: float

    def told(self, unit: Unit) -> str:
        """In words."""
        bound = f"{self.bound:g}"
        return {
            "times as fast": f"{bound} times as fast",
            "times as long": f"at most {bound} times as long",
            "more": f"at most {bound} {unit} more",
            "alone": f"at most {bound} {unit}",
        }[self.comparison]


@dataclass(frozen=True)
class Row:
    """One line of the table.

    work: what is done. beside: who else does it; empty where nobody does.
    ours, theirs: a figure a round; theirs is empty where nobody was measured, and ``note`` says why.
    """

    work: str
    beside: str
    unit: Unit
    ours: tuple[float, ...]
    theirs: tuple[float, ...] = ()
    target: Target | None = None
    note: str = ""

    @property
    def comparison(self) -> Comparison:
        if self.target:
            return self.target.comparison
        return "times as fast" if self.beside else "alone"

    @cached_property
    def compared(self) -> tuple[float, ...]:
        """The comparison in each round; empty where there is nobody to compare with."""
        if self.comparison == "alone":
            return self.ours
        if not self.theirs:
            return ()
        pairs = list(zip(self.ours, self.theirs, strict=True))
        if self.comparison == "more":
            return tuple(ours - theirs for ours, theirs in pairs)
        fast = [ours / theirs if self.unit == "images/s" else theirs / ours for ours, theirs in pairs]
        return tuple(fast) if self.comparison == "times as fast" else tuple(1 / times for times in fast)

    @property
    def met(self) -> bool | None:
        """Whether the target is; None where there is none, or nothing to compare with."""
        if self.target is None or not self.compared:
            return None
        value = median(self.compared)
        return value >= self.target.bound if self.comparison == "times as fast" else value <= self.target.bound

    def cells(self) -> tuple[str, ...]:
        """As the table has them; see ``HEADINGS``."""
        target = self.target.told(self.unit) if self.target else ""
        return (
            self.work,
            self.beside,
            target,
            spread(self.ours, self.unit),
            spread(self.theirs, self.unit),
            self._compared(),
            self._verdict(),
            self.note,
        )

    def _compared(self) -> str:
        if self.comparison == "alone" or not self.compared:
            return ""
        return spread(self.compared, f"{self.unit} more" if self.comparison == "more" else self.comparison)

    def _verdict(self) -> str:
        if self.met is None or self.target is None:
            return "not compared" if self.target else ""
        return "yes" if self.met else f"no, off by {abs(median(self.compared) / self.target.bound - 1):.0%}"


HEADINGS = ("work", "beside", "target", "nnpipe", "theirs", "compared", "met", "note")


@dataclass(frozen=True)
class Table:
    """Figures that are not compared with anybody's: how cost grows."""

    title: str
    columns: tuple[str, ...]
    cells: tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class Result:
    """What a benchmark found. conditions: in which, in a sentence or two."""

    conditions: str
    rows: tuple[Row, ...] = ()
    tables: tuple[Table, ...] = ()


def number(value: float) -> str:
    """Three digits, and all of a whole number: 1,650; 12.3; 0.0123."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def spread(values: tuple[float, ...], unit: str) -> str:
    """Median, and from smallest to largest: 1,650 images/s (1,600 to 1,700)."""
    if not values:
        return ""
    width = f" ({number(min(values))} to {number(max(values))})" if len(values) > 1 else ""
    return f"{number(median(values))} {unit}{width}"
