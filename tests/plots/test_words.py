from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from nnpipe.plots import words
from nnpipe.plots.thumbnails import strip


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.038, "38 ms"),
        (0.25, "0.2 s"),
        (9.94, "9.9 s"),
        (9.96, "10 s"),
        (59.6, "1 min 0 s"),
        (72, "1 min 12 s"),
        (3599.9, "1 h 0 min"),
        (7500, "2 h 5 min"),
    ],
)
def test_durations_are_told_in_their_two_largest_units(seconds: float, text: str) -> None:
    assert words.duration(seconds) == text


def test_an_unknown_duration_is_a_dash() -> None:
    assert words.duration(None) == "\N{EN DASH}"


@pytest.mark.parametrize(("count", "text"), [(999, "999 bytes"), (1749928, "1.7 MB"), (2_500_000_000, "2.5 GB")])
def test_sizes_are_told_in_decimal_units(count: int, text: str) -> None:
    assert words.size(count) == text


def test_lists_stand_in_sentences() -> None:
    assert [words.joined(names) for names in ([], ["a"], ["a", "b"], ["a", "b", "c"])] == [
        "",
        "a",
        "a and b",
        "a, b and c",
    ]


def test_measures_of_the_validation_split_are_told_in_full() -> None:
    assert words.kind("val_reconstruction_error") == "validation reconstruction error"


def test_thumbnails_are_ink_on_paper_side_by_side() -> None:
    dark, light = np.full((1, 3, 3), 16), np.zeros((1, 3, 3))
    image = np.asarray(Image.open(io.BytesIO(strip([dark, light], (0, 16)))))
    assert image.shape == (3, 7)
    assert image[0].tolist() == [0, 0, 0, 255, 255, 255, 255]


def test_large_colour_images_are_made_small() -> None:
    image = Image.open(io.BytesIO(strip([np.full((3, 112, 224), 0.5)], (0, 1))))
    assert (image.mode, image.size) == ("RGB", (112, 56))
