"""How many Gibbs steps are taken between two updates: a number, or a schedule of them."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, Field

from nnpipe.spec import problem

Point = tuple[Annotated[float, Field(ge=0)], Annotated[int, Field(ge=1)]]


def _in_order(points: tuple[Point, ...]) -> tuple[Point, ...]:
    epochs = [epoch for epoch, _ in points]
    if epochs != sorted(set(epochs)):
        raise problem("epochs that do not grow", expected="each point later than the one before", found=str(epochs))
    return points


# A number, or (epoch, steps) in order, each from that epoch on; before the first epoch as from it on.
GibbsSteps = Annotated[int, Field(ge=1)] | Annotated[tuple[Point, ...], Field(min_length=1), AfterValidator(_in_order)]


def steps_at(steps: GibbsSteps, time: float) -> int:
    """How many there are at ``time``, in epochs."""
    if isinstance(steps, int):
        return steps
    return ([number for epoch, number in steps if epoch <= time] or [steps[0][1]])[-1]
