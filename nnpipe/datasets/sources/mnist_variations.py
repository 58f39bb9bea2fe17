"""MNIST made harder: Larochelle, Erhan, Courville, Bergstra & Bengio 2007, section 3.1.

"An empirical evaluation of deep architectures on problems with many factors of variation", ICML. The images are drawn
anew from the same distribution; they are not those that the authors published. Their variations with photographs in
the background are not here.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from nnpipe.datasets.sources.drawn import SPLITS, block_generator
from nnpipe.datasets.sources.mnist import Mnist
from nnpipe.datasets.sources.source import Block, Description, Opened, Source, block_rows, skip_rows
from nnpipe.errors import DataError

if TYPE_CHECKING:
    import numpy as np

MNIST = Mnist()
ORDER, IMAGES = 0, 1  # what generators are for


class MnistVariations(Source):
    """Digits of MNIST's 70,000, those to train with and those to test with drawn from all of them.

    basic: as they are. rot: each turned about its middle by an angle of 0 to 2 pi, all as likely, with bilinear
    interpolation. bg_rand: with a background of bytes that are all as likely; a pixel is the larger of digit and
    background. The paper has 10,000 images to train with, 2,000 to validate with (``data.validation: 2000``) and
    50,000 to test with. Reads the files of ``{kind: mnist}``.
    """

    kind: Literal["mnist_variations"] = "mnist_variations"
    variation: Literal["basic", "rot", "bg_rand"] = Field("basic", description="What is done to the digits.")
    samples: int = Field(12_000, ge=10, description="How many images, those to validate with included.")
    test_samples: int = Field(50_000, ge=10, description="How many images to test with.")

    def describe(self, root: Path) -> Description:
        return MNIST.describe(root)

    def files(self, root: Path) -> list[Path] | None:
        return MNIST.files(root)

    def fetch(self, root: Path) -> None:
        MNIST.fetch(root)

    def open(self, root: Path, seed: int) -> Opened:
        import numpy as np

        mnist = MNIST.open(root, seed)
        there, wanted = sum(mnist.splits.values()), self.samples + self.test_samples
        if wanted > there:
            raise DataError(
                "MNIST has not so many images",
                where="data.source",
                expected=f"samples and test_samples of at most {there} together",
                found=f"{self.samples} and {self.test_samples}",
            )
        order = block_generator(seed, ORDER).permutation(there)[:wanted]
        chosen = dict(zip(SPLITS, map(np.sort, np.split(order, [self.samples])), strict=True))

        def draw(split: str, wanted: int) -> Iterator[tuple[int, Block]]:
            for start, (images, labels) in _read(mnist, wanted):
                low, high = np.searchsorted(chosen[split], (start, start + len(labels)))
                here = chosen[split][low:high] - start
                drawn = self._vary(images[here], block_generator(seed, IMAGES, SPLITS.index(split), start))
                yield int(low), (drawn, labels[here])

        def blocks(split: str, first: int = 0) -> Iterator[Block]:
            wanted = chosen[split][first : first + 1].tolist()
            for low, block in draw(split, wanted[0]) if wanted else ():
                yield from skip_rows([block], max(0, first - low))

        sizes = {split: len(rows) for split, rows in chosen.items()}
        return Opened(sizes, mnist.shape, mnist.dtype, mnist.value_range, mnist.class_names, blocks)

    def _vary(self, images: np.ndarray, generator: np.random.Generator) -> np.ndarray:
        """Of (rows, 1, height, width) uint8, the same."""
        import numpy as np

        if self.variation == "rot":
            return _turned(images, generator.uniform(0, 360, len(images)))
        if self.variation == "bg_rand":
            return np.maximum(images, generator.integers(0, 256, images.shape, np.uint8))  # type: ignore[no-any-return]
        return images


def _read(mnist: Opened, wanted: int) -> Iterator[tuple[int, Block]]:
    """MNIST's images in blocks from the one that has image ``wanted`` on; before each the number of its first image.

    Images are counted through both of its splits.
    """
    rows, before = block_rows(mnist.shape, mnist.dtype.itemsize), 0
    for split, size in mnist.splits.items():
        start = max(0, wanted - before) // rows * rows
        if start < size:
            for block in mnist.blocks(split, start):
                yield before + start, block
                start += len(block[1])
        before += size


def _turned(images: np.ndarray, degrees: np.ndarray) -> np.ndarray:
    """Images turned about their middle; what comes in at the corners is black."""
    import numpy as np
    from scipy.ndimage import rotate

    turned = np.empty_like(images)
    for image, angle, target in zip(images, degrees, turned, strict=True):
        rotate(image, angle, axes=(2, 1), reshape=False, order=1, output=target)
    return turned
