"""What pictures of Gibbs chains have in common: when they are looked at, how many there are, and what is held."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, Field

from nnpipe.plots.picture import Picture
from nnpipe.spec import problem

MOST_STEPS = 100_000


def _growing(steps: tuple[int, ...]) -> tuple[int, ...]:
    if list(steps) != sorted(set(steps)):
        raise problem(
            "steps that do not grow", expected="each number larger than the one before", found=str(list(steps))
        )
    return steps


class ChainPicture(Picture):
    """Rows are chains, columns are where they stand after so many steps."""

    steps: Annotated[
        tuple[Annotated[int, Field(ge=1, le=MOST_STEPS)], ...], Field(min_length=1), AfterValidator(_growing)
    ] = Field((1, 3, 10, 30, 100, 300, 1000), description="Gibbs steps: a column for each.")
    unit: int | None = Field(None, ge=0, description="A hidden unit of the last machine, to be held at 1.")
    rows: int = Field(6, ge=1, le=50, description="How many chains, where not each class has one.")
    seed: int = Field(0, ge=0, description="Of the chains.")
