"""Images that are drawn by chance, block by block: each from the seed and its number alone, so that any can be next."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from nnpipe.datasets.sources.source import Block, Description, Opened, Source, skip_rows

if TYPE_CHECKING:
    import numpy as np

SIDE = 28
SHAPE = (1, SIDE, SIDE)
ROWS = 1000  # images of a block
SPLITS = ("train", "test")


class DrawnImages(Source):
    """White on black, 28x28, of two classes with ``names``; half of the images are of each."""

    names: ClassVar[tuple[str, str]]
    samples: int
    test_samples: int

    def describe(self, root: Path) -> Description:
        return Description(SHAPE, len(self.names))

    def open(self, root: Path, seed: int) -> Opened:
        import numpy as np

        sizes = dict(zip(SPLITS, (self.samples, self.test_samples), strict=True))

        def draw(split: str, block: int) -> Iterator[Block]:
            for start in range(block * ROWS, sizes[split], ROWS):
                labels = np.arange(start, min(start + ROWS, sizes[split]), dtype=np.int64) % 2
                white = self._draw(labels, block_generator(seed, SPLITS.index(split), start // ROWS))
                yield np.where(white, np.uint8(255), np.uint8(0)).reshape(-1, *SHAPE), labels

        def blocks(split: str, first: int = 0) -> Iterator[Block]:
            return skip_rows(draw(split, first // ROWS), first % ROWS)

        return Opened(sizes, SHAPE, np.dtype(np.uint8), (0.0, 255.0), self.names, blocks)

    @abstractmethod
    def _draw(self, labels: np.ndarray, generator: np.random.Generator) -> np.ndarray:
        """An image for each label, (rows, 28, 28) bool: what is white."""


def block_generator(seed: int, *number: int) -> np.random.Generator:
    """Where a block with this ``number`` draws from."""
    import numpy as np

    return np.random.Generator(np.random.PCG64(np.random.SeedSequence(seed, spawn_key=number)))
