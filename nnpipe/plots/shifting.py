"""Images moved by some pixels, and how much a layer's activations stay what they were.

After Goodfellow, Le, Saxe, Lee & Ng 2009, "Measuring Invariances in Deep Networks", and Zeiler & Fergus 2014, figure 5.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from nnpipe.models.network import Network

DIRECTIONS = ((0, 1), (0, -1), (1, 0), (-1, 0))  # rows, columns
SAME_VALUES = frozenset({"flatten", "reshape", "dropout"})  # what leaves such a layer is what reached it
BATCH = 50


def background(images: np.ndarray) -> np.ndarray:
    """The value behind things, channel by channel: the median of the outermost pixels. (channels, 1, 1)."""
    edges = (images[:, :, 0], images[:, :, -1], images[:, :, :, 0], images[:, :, :, -1])
    middle: np.ndarray = np.median(np.concatenate(edges, axis=2), axis=(0, 2))
    return middle[:, None, None]


def shifted(images: np.ndarray, rows: int, columns: int, behind: np.ndarray) -> np.ndarray:
    """Images (n, channels, height, width) moved down and to the right; what comes into view is ``behind``."""
    height, width = images.shape[2:]
    moved: np.ndarray = np.broadcast_to(behind.astype(images.dtype), images.shape).copy()
    to = (slice(max(rows, 0), height + min(rows, 0)), slice(max(columns, 0), width + min(columns, 0)))
    of = (slice(max(-rows, 0), height + min(-rows, 0)), slice(max(-columns, 0), width + min(-columns, 0)))
    moved[:, :, *to] = images[:, :, *of]
    return moved


def activations(network: Network, images: np.ndarray) -> list[Tensor]:
    """The images as the network reads them, then what leaves each layer of it: (n, ...) each."""
    x = torch.from_numpy(network.scaling.apply(images))
    with torch.inference_mode():
        batches = [[part, *network.activations(part)] for part in torch.split(x, BATCH)]
    return [torch.cat(parts) for parts in zip(*batches, strict=True)]


def similarity(before: Tensor, after: Tensor) -> float:
    """The mean cosine of the angle between activations (n, ...) before and after, less each unit's mean before.

    1: they stay the same. About 0: as unlike as those of two images that have nothing to do with each other. Without
    taking the mean away, units that are always active would make all images look alike.
    """
    mean = before.flatten(1).mean(0)
    a, b = before.flatten(1) - mean, after.flatten(1) - mean
    lengths = a.norm(dim=1) * b.norm(dim=1)
    cosines = torch.where(lengths > 0, (a * b).sum(1) / lengths, (a == b).all(1).to(a.dtype))
    return float(cosines.double().mean())


def told_apart(kinds: Sequence[str], most: int) -> list[int]:
    """Places among the input, 0, and the layers, of these kinds: those that change values, at most ``most``.

    Where there are more: pools and what reaches them, the input and the output first.
    """
    places = [0, *(place for place, kind in enumerate(kinds, start=1) if kind not in SAME_VALUES)]
    if len(places) <= most:
        return places
    pools = [index for index, place in enumerate(places) if place and "pool" in kinds[place - 1]]
    wanted = [0, len(places) - 1, *(near for index in pools for near in (index, index - 1))]
    spread = [round(share * (len(places) - 1) / (most - 1)) for share in range(most)]
    chosen = list(dict.fromkeys([*wanted, *spread]))[:most]
    return [places[index] for index in sorted(chosen)]
