"""From the arrays of ingested data to examples on the device that computes, and what the data tell of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

    from nnpipe.models.scaling import Scaling
    from nnpipe.store.arrays import ArrayFile
    from nnpipe.training.examples import Examples


def read_split(
    file: ArrayFile,
    split: str,
    scaling: Scaling,
    device: str,
    target_scaling: Scaling,
    rows: np.ndarray | None = None,
) -> Examples:
    """The examples of ``split`` (train, validation or test), raw as they are kept, with their labels.

    Numbers to learn take the place of labels, scaled by ``target_scaling``. rows: which examples; None: all.
    """
    import torch

    from nnpipe.training.examples import Examples

    x, y = read_tensor(file, f"X_{split}"), read_tensor(file, f"y_{split}")
    if rows is not None:
        x, y = x[rows], y[rows]
    if y.is_floating_point():
        y = torch.from_numpy(target_scaling.apply(y.numpy()))
    return Examples(x.to(device), y.to(device), scaling)


def read_tensor(file: ArrayFile, name: str) -> Tensor:
    """A whole array, read block by block into one tensor on the CPU."""
    import numpy as np
    import torch

    from nnpipe.store.arrays import blocks

    whole = np.empty(file.shape(name), file.dtype(name))
    start = 0
    for block in blocks(file, name):
        whole[start : start + len(block)] = block
        start += len(block)
    return torch.from_numpy(whole)


def read_evenly(file: ArrayFile, split: str, most: int) -> tuple[np.ndarray, np.ndarray]:
    """At most ``most`` examples of ``split``, evenly spaced and raw, (n, ...); and their answers, (n, ...)."""
    count = min(most, file.shape(f"X_{split}")[0])
    return _evenly(file, f"X_{split}", count), _evenly(file, f"y_{split}", count)


def _evenly(file: ArrayFile, name: str, count: int) -> np.ndarray:
    """``count`` rows of an array, read block by block, so that no more of it is in memory."""
    import numpy as np

    from nnpipe.store.arrays import blocks

    rows = np.arange(count) * file.shape(name)[0] // count
    chosen, start = [], 0
    for block in blocks(file, name):
        inside = rows[(rows >= start) & (rows < start + len(block))]
        chosen.append(block[inside - start])
        start += len(block)
    return np.concatenate(chosen)


def class_counts(about: Mapping[str, Any]) -> Sequence[int]:
    """How many training examples each class has, of data with attributes ``about``; empty for numbers."""
    counts: Sequence[int] = about.get("statistics", {}).get("class_counts", {}).get("train", [])
    return counts
