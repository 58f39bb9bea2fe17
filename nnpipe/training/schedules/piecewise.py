"""A value that is said at some times, and goes in straight lines, or stays, between them."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from nnpipe.spec import problem
from nnpipe.training.schedules.schedule import Schedule

Point = tuple[Annotated[float, Field(ge=0)], Annotated[float, Field(ge=0)]]


def _in_order(points: tuple[Point, ...]) -> tuple[Point, ...]:
    times = [time for time, _ in points]
    if times != sorted(set(times)):
        raise problem("times that do not grow", expected="each point later than the one before", found=str(times))
    return points


class Piecewise(Schedule):
    """The values themselves, not parts of the base value: ``points: [[0, 0.5], [5, 0.9]]`` as [epoch, value].

    Before the first point it has the first value, after the last the last.
    """

    kind: Literal["piecewise"] = "piecewise"
    points: Annotated[tuple[Point, ...], Field(min_length=1), AfterValidator(_in_order)]
    between: Literal["linear", "stay"] = Field("stay", description="stay: each value holds until the next time.")

    def at(self, base: float, time: float, epochs: float) -> float:
        before = [point for point in self.points if point[0] <= time] or [self.points[0]]
        (start, first), after = before[-1], self.points[len(before) :]
        if self.between == "stay" or not after or time < start:
            return first
        end, last = after[0]
        return first + (last - first) * (time - start) / (end - start)
