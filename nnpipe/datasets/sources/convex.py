"""White regions, convex or not: Larochelle, Erhan, Courville, Bergstra & Bengio 2007, section 3.3.

"An empirical evaluation of deep architectures on problems with many factors of variation", ICML; the numbers below are
those of its online companion (ConvexNonConvex). The images are drawn anew from the same distribution; they are not
those that the authors published.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from nnpipe.datasets.sources.drawn import SIDE, DrawnImages

if TYPE_CHECKING:
    import numpy as np

# The parameter of the geometric distribution of how many half-planes, and how many pixels there have to be at least.
# The authors balanced them so that both classes have the same mean number of white pixels. They do if it counts from 0,
# as MATLAB's does, and no half-plane is the whole image; counted from 1, one class would have twice as many.
CONVEX = (0.195, 19)
PART = (0.07, 10)  # of the convex sets that a region which is not convex is the union of
PARTS = (2, 4)  # how many of them there are: from, to
SPARE = 100  # candidates that are drawn in one go, besides twice as many as are still missing
NOWHERE = 10_000  # further away than any line through two pixels of the image reaches


class Convex(DrawnImages):
    """Is the white region convex (class 1) or not (class 0)?

    Convex: what a random number of half-planes, each through a random point in a random direction, have in common; of
    none, the whole image. Not convex: the union of 2 to 4 such sets, if a black pixel lies in its convex hull. Pixels
    count as their centres. The paper has 6,000 images to train with, 2,000 to validate with (``data.validation:
    2000``) and 50,000 to test with.
    """

    kind: Literal["convex"] = "convex"
    names: ClassVar[tuple[str, str]] = ("nonconvex", "convex")
    samples: int = Field(8000, ge=10, description="How many images, those to validate with included.")
    test_samples: int = Field(50_000, ge=10, description="How many images to test with.")

    def _draw(self, labels: np.ndarray, generator: np.random.Generator) -> np.ndarray:
        import numpy as np

        white = np.empty((len(labels), SIDE, SIDE), bool)
        one = labels == 1
        white[one] = _convex_sets(int(one.sum()), *CONVEX, generator)
        white[~one] = _unions(int((~one).sum()), generator)
        return white


def _convex_sets(rows: int, parameter: float, least: int, generator: np.random.Generator) -> np.ndarray:
    """(rows, 28, 28) bool, ``least`` pixels or more in each."""
    import numpy as np

    found = [np.empty((0, SIDE, SIDE), bool)]
    while (missing := rows - sum(map(len, found))) > 0:
        found.append(_intersections(2 * missing + SPARE, parameter, least, generator))
    return np.concatenate(found)[:rows]


def _intersections(candidates: int, parameter: float, least: int, generator: np.random.Generator) -> np.ndarray:
    """What half-planes have in common, of the ``candidates`` that have ``least`` pixels left: (some, 28, 28) bool."""
    import numpy as np

    places = np.arange(SIDE) + 0.5
    planes = generator.geometric(parameter, candidates) - 1
    white = np.ones((candidates, SIDE, SIDE), bool)
    large = np.ones(candidates, bool)
    while len(here := np.flatnonzero(large & (planes > 0))):
        point = generator.uniform(0, SIDE, (2, len(here), 1))
        angle = generator.uniform(0, 2 * np.pi, (len(here), 1))
        down, right = np.sin(angle) * (places - point[0]), np.cos(angle) * (places - point[1])
        cut = white[here] & (right[:, None, :] >= -down[:, :, None])
        white[here], large[here] = cut, cut.sum((1, 2)) >= least
        planes[here] -= 1
    return white[large]


def _unions(rows: int, generator: np.random.Generator) -> np.ndarray:
    """Unions of convex sets that are not convex: (rows, 28, 28) bool."""
    import numpy as np

    found = [np.empty((0, SIDE, SIDE), bool)]
    while (missing := rows - sum(map(len, found))) > 0:
        parts = generator.integers(PARTS[0], PARTS[1] + 1, 2 * missing + SPARE)
        sets = _convex_sets(int(parts.sum()), *PART, generator)
        unions = np.logical_or.reduceat(sets, np.cumsum(parts) - parts, axis=0)
        found.append(unions[~are_convex(unions)])
    return np.concatenate(found)[:rows]


def are_convex(white: np.ndarray) -> np.ndarray:
    """Whether no black pixel lies in the convex hull of the white ones: (n,) bool of (n, 28, 28).

    The hull reaches in each column as far down, and up, as a line between the lowest, or highest, white pixels of two
    columns beside it, or of itself. All in whole numbers.
    """
    import numpy as np

    row = np.arange(SIDE)[:, None]
    lowest = np.where(white, row, -NOWHERE).max(1)  # (n, columns)
    highest = np.where(white, row, NOWHERE).min(1)
    left, here, right, starts = _columns()
    before, after, width = here - left, right - here, np.maximum(right - left, 1)
    after = np.where(left == right, 1, after)
    down = (lowest[:, left] * after + lowest[:, right] * before) // width
    up = -(-(highest[:, left] * after + highest[:, right] * before) // width)
    ends = np.maximum.reduceat(down, starts, axis=1), np.minimum.reduceat(up, starts, axis=1)
    within = np.maximum(0, ends[0] - ends[1] + 1)
    return (within == white.sum(1)).all(1)  # type: ignore[no-any-return]


@cache
def _columns() -> tuple[np.ndarray, ...]:
    """Every column with every pair of columns about it, itself twice too; and where each column's pairs start."""
    import numpy as np

    pairs = [
        (left, here, right)
        for here in range(SIDE)
        for left in range(here + 1)
        for right in range(here, SIDE)
        if (left < here < right) or left == right
    ]
    left, here, right = np.array(pairs).T
    return left, here, right, np.flatnonzero(np.diff(here, prepend=-1))
