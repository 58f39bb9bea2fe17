"""Images that are drawn anew: rectangles, and regions that are convex or not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.spatial import ConvexHull, QhullError

from nnpipe.datasets.sources import drawn
from nnpipe.datasets.sources.convex import Convex, are_convex
from nnpipe.datasets.sources.rectangles import Rectangles
from nnpipe.datasets.sources.source import Description, Source

SOURCES = [Rectangles, Convex]


def read(source: Source, seed: int = 0, split: str = "train", first: int = 0) -> tuple[np.ndarray, np.ndarray]:
    x, y = zip(*source.open(Path(), seed).blocks(split, first), strict=True)
    return np.concatenate(x), np.concatenate(y)


@pytest.mark.parametrize(("kind", "sizes"), [(Rectangles, (1200, 50_000)), (Convex, (8000, 50_000))])
def test_left_to_itself_a_source_has_the_sizes_of_the_paper(kind: Any, sizes: tuple[int, int]) -> None:
    opened = kind().open(Path(), 0)
    assert tuple(opened.splits.values()) == sizes
    assert kind().describe(Path()) == Description((1, 28, 28), 2)
    assert kind().files(Path()) == []
    assert (opened.shape, opened.dtype, opened.value_range) == ((1, 28, 28), np.uint8, (0, 255))


@pytest.mark.parametrize("kind", SOURCES)
class TestEvery:
    def test_the_same_seed_gives_the_same_images_and_another_seed_others(self, kind: Any) -> None:
        source = kind(samples=60)
        one, same, other = (read(source, seed)[0] for seed in (0, 0, 1))
        np.testing.assert_array_equal(one, same)
        assert not np.array_equal(one, other)

    def test_no_two_blocks_and_no_two_splits_are_alike(self, kind: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(drawn, "ROWS", 30)
        source = kind(samples=60, test_samples=60)
        x, test = read(source)[0], read(source, split="test")[0]
        assert not np.array_equal(x[:30], x[30:])
        assert not np.array_equal(x, test)

    def test_reading_can_begin_at_any_row(self, kind: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(drawn, "ROWS", 16)
        source = kind(samples=50)
        x, y = read(source)
        for first in (1, 15, 16, 17, 49):
            later, labels = read(source, first=first)
            np.testing.assert_array_equal(later, x[first:])
            np.testing.assert_array_equal(labels, y[first:])
        assert list(source.open(Path(), 0).blocks("train", 50)) == []

    def test_images_are_black_and_white_and_half_of_them_are_of_each_class(self, kind: Any) -> None:
        x, y = read(kind(samples=500))
        assert (x.shape, x.dtype) == ((500, 1, 28, 28), np.uint8)
        assert np.unique(x).tolist() == [0, 255]
        assert np.bincount(y).tolist() == [250, 250]


def test_a_rectangle_is_its_border_whole_and_three_pixels_taller_or_wider() -> None:
    seen = set()
    for image, label in zip(*read(Rectangles(samples=2000)), strict=True):
        rows, columns = np.nonzero(image[0])
        top, bottom, left, right = rows.min(), rows.max(), columns.min(), columns.max()
        expected = np.zeros((28, 28), np.uint8)
        expected[top : bottom + 1, left : right + 1] = 255
        expected[top + 1 : bottom, left + 1 : right] = 0
        np.testing.assert_array_equal(image[0], expected)
        height, width = bottom - top + 1, right - left + 1
        assert abs(height - width) >= 3
        assert (height > width) == bool(label)
        seen |= {("height", height), ("width", width), ("top", top), ("left", left), ("end", bottom), ("end", right)}
    expected_sizes = {(name, size) for name in ("height", "width") for size in range(1, 29)}
    assert seen >= expected_sizes | {("top", 0), ("left", 0), ("end", 27)}


def test_pairs_of_height_and_width_are_all_as_likely() -> None:
    from scipy.stats import chisquare

    counts = np.zeros((28, 28))
    for image in read(Rectangles(samples=20_000))[0][:, 0]:
        counts[np.count_nonzero(image.any(1)) - 1, np.count_nonzero(image.any(0)) - 1] += 1
    allowed = counts[np.abs(np.subtract.outer(range(28), range(28))) >= 3]
    assert allowed.sum() == 20_000
    assert chisquare(allowed).pvalue > 0.001


def fills_its_hull(white: np.ndarray) -> bool:
    """Whether every pixel whose centre lies in the convex hull of the white ones is white, by Qhull."""
    points = np.argwhere(white)
    try:
        hull = ConvexHull(points)
    except QhullError:  # all of them on one line
        ends = points[[0, -1]]
        return len(points) == np.gcd(*(ends[1] - ends[0])) + 1
    everywhere = np.argwhere(np.ones_like(white))
    inside = (everywhere @ hull.equations[:, :2].T + hull.equations[:, 2] <= 1e-9).all(1)
    return int(inside.sum()) == len(points)


def test_white_regions_are_convex_where_the_label_says_so_and_nowhere_else() -> None:
    x, y = read(Convex(samples=600))
    assert [fills_its_hull(image[0] > 0) for image in x] == (y == 1).tolist()


def test_the_test_of_convexity_agrees_with_qhull_about_anything() -> None:
    rng = np.random.default_rng(0)
    squares = np.zeros((300, 28, 28), bool)
    for square in squares:  # of 4x4 pixels, few of them black, so that both answers come
        square[3:7, 20:24] = rng.random((4, 4)) < rng.uniform(0.2, 1)
        square[3, 20] = True
    answers = are_convex(squares)
    assert answers.tolist() == [fills_its_hull(square) for square in squares]
    assert 20 < answers.sum() < 280


def test_no_class_can_be_told_by_how_much_is_white_on_the_average() -> None:
    """The authors balanced their parameters so."""
    x, y = read(Convex(samples=8000))
    white = (x > 0).sum((1, 2, 3))
    assert white[y == 1].mean() == pytest.approx(white[y == 0].mean(), rel=0.05)
    assert white[y == 1].min() >= 19
    assert white[y == 0].min() >= 10
