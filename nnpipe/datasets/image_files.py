"""Images of users in the formats that Pillow reads; whatever is wrong names the file."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from nnpipe.errors import DataError

if TYPE_CHECKING:
    import numpy as np
    from PIL import Image

SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".ppm", ".pgm"})
# Whatever a file is called: Pillow would run another program to draw PostScript.
FORMATS = ("BMP", "GIF", "JPEG", "PNG", "PPM", "TIFF", "WEBP")
MOST_PIXELS = 50_000_000  # of one image: a small file can hold a huge one


def image_size(path: Path) -> tuple[int, int]:
    """Height and width, from the header of an image."""
    with _opened(path, str(path)) as image:
        return image.height, image.width


def read_image(path: Path, shape: tuple[int, int, int], *, resize: bool, hint: str) -> np.ndarray:
    """The image at ``path`` as ``decode_image`` gives it."""
    return decode_image(path, str(path), shape, resize=resize, hint=hint)


def decode_image(
    source: Path | BinaryIO, where: str, shape: tuple[int, int, int], *, resize: bool, hint: str
) -> np.ndarray:
    """One image as uint8 of ``shape``: (channels, height, width), grey for one channel, or red, green and blue.

    where: what it is called in an error. resize: whether images of another size are brought to this one; if not they
    are refused, with ``hint``.

    Raises:
        DataError: it cannot be read, has more than 8 bits a channel, or another size.
    """
    import numpy as np
    from PIL import Image

    channels, height, width = shape
    with _opened(source, where) as image:
        if image.mode.startswith(("I", "F")):
            # Pillow would cut its values off at 255 without a word.
            raise DataError("an image of more than 8 bits", where=where, expected="8 bits a channel", found=image.mode)
        if not resize and (image.height, image.width) != (height, width):
            raise DataError(
                "an image of another size",
                where=where,
                expected=f"height {height} and width {width}",
                found=f"height {image.height} and width {image.width}",
                hint=hint,
            )
        pixels = image.convert("L" if channels == 1 else "RGB")
    if resize:
        pixels = pixels.resize((width, height), Image.Resampling.BILINEAR)
    return np.asarray(pixels, np.uint8).reshape(height, width, channels).transpose(2, 0, 1)


@contextmanager
def _opened(source: Path | BinaryIO, where: str) -> Iterator[Image.Image]:
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(source, formats=FORMATS) as image:
            if image.width * image.height > MOST_PIXELS:
                raise DataError(
                    "an image of too many pixels",
                    where=where,
                    expected=f"at most {MOST_PIXELS:,}",
                    found=f"{image.width} by {image.height}",
                )
            yield image
    except DataError:
        raise
    except Exception as error:  # on damaged images decoders raise whatever comes: a broken PNG is a SyntaxError
        told = "none of these" if isinstance(error, UnidentifiedImageError) else str(error)
        raise DataError("an image cannot be read", where=where, expected=", ".join(FORMATS), found=told) from error
