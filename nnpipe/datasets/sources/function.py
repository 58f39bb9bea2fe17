"""Samples of a known function of one or two variables: what a network has to find can be seen beside what it found."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import AfterValidator, Field

from nnpipe.datasets.sources.source import Block, Description, Opened, Source, skip_rows
from nnpipe.spec import problem

if TYPE_CHECKING:
    import numpy as np

ROWS = 4096


def _check_order(ends: tuple[float, float]) -> tuple[float, float]:
    if ends[0] >= ends[1]:
        raise problem("a range without points", expected="its lower end first", found=f"{ends[0]:g} to {ends[1]:g}")
    return ends


Range = Annotated[tuple[float, float], AfterValidator(_check_order)]


def sine(x: np.ndarray) -> np.ndarray:
    """sin(x)."""
    import numpy as np

    return np.sin(x)  # type: ignore[no-any-return]


def sinc(x: np.ndarray) -> np.ndarray:
    """sin(pi x) / (pi x), 1 at 0."""
    import numpy as np

    return np.sinc(x)  # type: ignore[no-any-return]


def bump(x: np.ndarray) -> np.ndarray:
    """tanh(x + 2) - tanh(x - 2): two tanh units can be it exactly."""
    import numpy as np

    return np.tanh(x + 2) - np.tanh(x - 2)  # type: ignore[no-any-return]


def peaks(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """MATLAB's example of a surface: three hills and three hollows, made of shifted Gaussian bells."""
    import numpy as np

    hill = 3 * (1 - x) ** 2 * np.exp(-(x**2) - (y + 1) ** 2)
    ring = -10 * (x / 5 - x**3 - y**5) * np.exp(-(x**2) - y**2)
    return hill + ring - np.exp(-((x + 1) ** 2) - y**2) / 3  # type: ignore[no-any-return]


# Name -> the function, how many variables it has, and where it is sampled unless told otherwise.
FUNCTIONS: dict[str, tuple[Callable[..., np.ndarray], int, tuple[float, float]]] = {
    "sine": (sine, 1, (-3.1416, 3.1416)),
    "sinc": (sinc, 1, (-4.0, 4.0)),
    "bump": (bump, 1, (-5.0, 5.0)),
    "peaks": (peaks, 2, (-3.0, 3.0)),
}


class Function(Source):
    """Points drawn evenly from a range, and the function's value there; the same for the same seed."""

    kind: Literal["function"] = "function"
    function: Literal["sine", "sinc", "bump", "peaks"] = Field(
        "sine", description="peaks has two variables, the others one."
    )
    samples: int = Field(1000, ge=10, description="How many points.")
    range: Range | None = Field(
        None, description="Of each variable; left out: sine -pi to pi, sinc -4 to 4, bump -5 to 5, peaks -3 to 3."
    )
    noise: float = Field(0.0, ge=0, description="Standard deviation of what is added to the values.")

    def describe(self, root: Path) -> Description:
        return Description((FUNCTIONS[self.function][1],), 0, 1)

    def open(self, root: Path, seed: int) -> Opened:
        import numpy as np

        function, variables, usual = FUNCTIONS[self.function]
        low, high = self.range or usual

        def draw() -> Iterator[Block]:
            generator = np.random.Generator(np.random.PCG64(seed))
            for start in range(0, self.samples, ROWS):
                rows = min(ROWS, self.samples - start)
                points = generator.uniform(low, high, (rows, variables)).astype(np.float32)
                values = function(*points.T.astype(np.float64)) + generator.normal(0, self.noise, rows)
                yield points, values.astype(np.float32)[:, None]

        def blocks(split: str, first: int = 0) -> Iterator[Block]:
            return skip_rows(draw(), first)

        names = (self.function,)
        return Opened({"train": self.samples}, (variables,), np.dtype(np.float32), None, (), blocks, names)
