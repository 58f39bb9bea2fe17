"""From the arrays of ingested data to examples on the device that computes, and what the data tell of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

    from nnpipe.models.scaling import Scaling
    from nnpipe.stages.work import Work
    from nnpipe.store.arrays import ArrayFile
    from nnpipe.store.artifact import Artifact
    from nnpipe.training.examples import Examples


@dataclass(frozen=True)
class Stored:
    """An array of an artifact that is not read whole; each reading opens its file, so nothing has to be closed.

    file, name: of the array. shape: (rows, ...). chosen: the numbers of the rows that count, (rows,); None: all.
    """

    artifact: Artifact
    file: str
    name: str
    shape: tuple[int, ...]
    dtype: np.dtype
    chosen: np.ndarray | None = None

    @property
    def size(self) -> int:
        """Bytes of all rows."""
        return prod(self.shape) * self.dtype.itemsize

    def take(self, rows: np.ndarray) -> np.ndarray:
        """The rows with these numbers, (n,), in this order: (n, ...)."""
        with closing(self.artifact.arrays(self.file)) as file:
            return file.take(self.name, rows if self.chosen is None else self.chosen[rows])

    def whole(self) -> Tensor:
        """All rows, read block by block into one tensor on the CPU."""
        import numpy as np
        import torch

        from nnpipe.store.arrays import blocks

        if self.chosen is not None:
            return torch.from_numpy(self.take(np.arange(len(self.chosen))))
        found, start = np.empty(self.shape, self.dtype), 0
        with closing(self.artifact.arrays(self.file)) as file:
            for block in blocks(file, self.name):
                found[start : start + len(block)] = block
                start += len(block)
        return torch.from_numpy(found)


def stored(artifact: Artifact, file: str, name: str, chosen: np.ndarray | None = None) -> Stored:
    """The array ``name`` of ``file``, or the rows of it that are ``chosen``, in order."""
    with closing(artifact.arrays(file)) as opened:
        shape, dtype = opened.shape(name), opened.dtype(name)
    return Stored(artifact, file, name, shape if chosen is None else (len(chosen), *shape[1:]), dtype, chosen)


def examples_of(rows: Stored, y: Tensor | None, scaling: Scaling, work: Work) -> Examples:
    """Stored rows as examples: in the memory of the device that computes, or in their file if that is too much."""
    from nnpipe.training.examples import Examples
    from nnpipe.training.file_examples import FileExamples

    if rows.size > work.memory:
        return FileExamples(rows, y, scaling, work.device, work.memory)
    return Examples(rows.whole().to(work.device), y, scaling)


def read_split(
    work: Work, split: str, scaling: Scaling, target_scaling: Scaling, chosen: np.ndarray | None = None
) -> Examples:
    """The examples of ``split`` (train, validation or test) of the stage's ``data``, raw as kept, with their labels.

    Numbers to learn take the place of labels, scaled by ``target_scaling``. chosen: which examples; None: all.
    """
    import torch

    data = work.inputs["data"]
    y = stored(data, "data", f"y_{split}", chosen).whole()
    if y.is_floating_point():
        y = torch.from_numpy(target_scaling.apply(y.numpy()))
    return examples_of(stored(data, "data", f"X_{split}", chosen), y.to(work.device), scaling, work)


def read_evenly(file: ArrayFile, split: str, most: int) -> tuple[np.ndarray, np.ndarray]:
    """At most ``most`` examples of ``split``, evenly spaced and raw, (n, ...); and their answers, (n, ...)."""
    import numpy as np

    total = file.shape(f"X_{split}")[0]
    count = min(most, total)
    rows = np.arange(count) * total // count
    return file.take(f"X_{split}", rows), file.take(f"y_{split}", rows)


def class_counts(about: Mapping[str, Any]) -> Sequence[int]:
    """How many training examples each class has, of data with attributes ``about``; empty for numbers."""
    counts: Sequence[int] = about.get("statistics", {}).get("class_counts", {}).get("train", [])
    return counts
