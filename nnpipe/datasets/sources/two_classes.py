"""Points of two classes in the plane, which no straight line divides: the first example of many a lecture."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from nnpipe.datasets.sources.source import Block, Description, Opened, Source, skip_rows

if TYPE_CHECKING:
    import numpy as np

RADIUS = 4.0  # of the whole cloud, about: sigmoid units see more in points that are not all near zero
ROWS = 4096


class TwoClasses(Source):
    """A point cloud, the same for the same seed; as many points of one class as of the other.

    blobs: one class lies between two clouds of the other. circles: a ring around a ring. moons: two half-moons that
    interlock.
    """

    kind: Literal["two_classes"] = "two_classes"
    samples: int = Field(1000, ge=10, description="How many points.")
    shape: Literal["blobs", "circles", "moons"] = Field("blobs", description="How the classes lie.")
    noise: float = Field(
        0.2, ge=0, description="Standard deviation of the points about the shape, as a part of the cloud's radius."
    )

    def describe(self, root: Path) -> Description:
        return Description((2,), 2)

    def open(self, root: Path, seed: int) -> Opened:
        import numpy as np

        def draw() -> Iterator[Block]:
            generator = np.random.Generator(np.random.PCG64(seed))
            for start in range(0, self.samples, ROWS):
                labels = np.arange(start, min(start + ROWS, self.samples), dtype=np.int64) % 2
                points = _points(self.shape, labels, generator)
                points += generator.normal(0, self.noise, points.shape)
                yield (RADIUS * points).astype(np.float32), labels

        def blocks(split: str, first: int = 0) -> Iterator[Block]:
            return skip_rows(draw(), first)

        return Opened({"train": self.samples}, (2,), np.dtype(np.float32), None, ("0", "1"), blocks)


def _points(shape: str, labels: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """A point for each label, (rows, 2), without noise, within the unit circle or about so."""
    import numpy as np

    one = labels == 1
    if shape == "blobs":
        side = np.where(one, 0.0, generator.choice([-1.0, 1.0], len(labels)))
        x, y = 0.8 * side, 0.6 * side
    elif shape == "circles":
        angle, radius = generator.uniform(0, 2 * np.pi, len(labels)), np.where(one, 0.4, 1.0)
        x, y = radius * np.cos(angle), radius * np.sin(angle)
    else:
        angle, turn = generator.uniform(0, np.pi, len(labels)), np.where(one, -1.0, 1.0)
        x, y = turn * (np.cos(angle) - 0.5) / 1.5, turn * (np.sin(angle) - 0.25) / 1.5
    return np.stack([x, y], axis=1)
