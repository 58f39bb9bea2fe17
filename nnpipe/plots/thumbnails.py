"""A few examples of each class, small enough to stand in a table."""

from __future__ import annotations

import io
from collections.abc import Sequence

import numpy as np
from PIL import Image

TALLEST = 56  # pixels; larger images are made smaller, smaller ones are left to the browser to enlarge
GAP = 1


def strip(images: Sequence[np.ndarray], value_range: tuple[float, float]) -> bytes:
    """A PNG of ``images`` side by side, ink on white. Each: (channels, height, width), one or three channels.

    One channel is drawn dark where values are high, as on paper; colours are left as they are.
    """
    tiles = [_tile(image, *value_range) for image in images]
    height, width = tiles[0].height, tiles[0].width
    whole = Image.new(tiles[0].mode, (len(tiles) * (width + GAP) - GAP, height), "white")
    for place, tile in enumerate(tiles):
        whole.paste(tile, (place * (width + GAP), 0))
    buffer = io.BytesIO()
    whole.save(buffer, format="PNG", optimize=True)
    return buffer.getvalue()


def _tile(image: np.ndarray, low: float, high: float) -> Image.Image:
    shares = np.clip((image.astype(np.float64) - low) / ((high - low) or 1), 0, 1)
    grey = len(shares) == 1
    pixels = np.round(255 * (1 - shares[0] if grey else shares.transpose(1, 2, 0))).astype(np.uint8)
    tile = Image.fromarray(pixels, mode="L" if grey else "RGB")
    if tile.height > TALLEST:
        tile = tile.resize((max(1, round(tile.width * TALLEST / tile.height)), TALLEST), Image.Resampling.BOX)
    return tile
