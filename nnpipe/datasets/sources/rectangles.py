"""Rectangles, tall or wide: Larochelle, Erhan, Courville, Bergstra & Bengio 2007, section 3.2.

"An empirical evaluation of deep architectures on problems with many factors of variation", ICML. The images are drawn
anew from the same distribution; they are not those that the authors published.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from nnpipe.datasets.sources.drawn import SIDE, DrawnImages

if TYPE_CHECKING:
    import numpy as np

APART = 3  # pixels, at least, between height and width


class Rectangles(DrawnImages):
    """The white border, one pixel wide, of a rectangle on black: is it wide (class 0) or tall (class 1)?

    Height and width are drawn evenly from 1 to 28, pairs that are less than 3 apart left out, and then the place, so
    that the whole rectangle is seen. The paper has 1,000 images to train with, 200 to validate with (``data.validation:
    200``) and 50,000 to test with.
    """

    kind: Literal["rectangles"] = "rectangles"
    names: ClassVar[tuple[str, str]] = ("wide", "tall")
    samples: int = Field(1200, ge=10, description="How many images, those to validate with included.")
    test_samples: int = Field(50_000, ge=10, description="How many images to test with.")

    def _draw(self, labels: np.ndarray, generator: np.random.Generator) -> np.ndarray:
        import numpy as np

        sizes = np.array([(a, b) for a in range(1, SIDE + 1) for b in range(a + APART, SIDE + 1)])
        short, long = sizes[generator.integers(len(sizes), size=len(labels))].T
        height, width = np.where(labels == 1, (long, short), (short, long))
        top, left = (generator.integers(SIDE - size + 1) for size in (height, width))
        rows, on_rows = _within(top, height)
        columns, on_columns = _within(left, width)
        inside = rows[:, :, None] & columns[:, None, :]
        return inside & (on_rows[:, :, None] | on_columns[:, None, :])  # type: ignore[no-any-return]


def _within(first: np.ndarray, size: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Which of 28 places lie in each stretch, and which are its ends: (stretches, 28) bool both."""
    import numpy as np

    place, start = np.arange(SIDE), first[:, None]
    end = start + size[:, None] - 1
    return (place >= start) & (place <= end), (place == start) | (place == end)
