"""Digits drawn from all of MNIST, turned, or with noise behind them. MNIST is a small one here."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nnpipe.datasets.sources import well_known
from nnpipe.datasets.sources.mnist_variations import MnistVariations
from nnpipe.datasets.sources.source import Description
from nnpipe.errors import DataError

IMAGES = np.random.default_rng(0).integers(0, 256, (70, 28, 28), dtype=np.uint8)
LABELS = np.arange(70, dtype=np.uint8) % 10


@pytest.fixture(autouse=True)
def _small_mnist(tmp_path: Path, write_idx: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NNPIPE_DATA", str(tmp_path))
    monkeypatch.setattr("nnpipe.datasets.sources.source.BLOCK_BYTES", 7 * 28 * 28)
    for split, rows in (("train", slice(0, 60)), ("test", slice(60, 70))):
        for name, array in zip(well_known.FILES[split], (IMAGES, LABELS), strict=True):
            write_idx(tmp_path / "mnist" / f"{name}.gz", array[rows])


def read(variation: str = "basic", split: str = "train", seed: int = 0, first: int = 0) -> Any:
    source = MnistVariations.model_validate({"variation": variation, "samples": 12, "test_samples": 50})
    x, y = zip(*source.open(Path(), seed).blocks(split, first), strict=True)
    return np.concatenate(x), np.concatenate(y)


def numbers(x: np.ndarray) -> list[int]:
    """Which of MNIST's images these are."""
    return [int(np.flatnonzero((image[0] == IMAGES).all((1, 2)))[0]) for image in x]


def test_training_and_test_images_are_different_ones_drawn_from_all() -> None:
    train, test = read(), read(split="test")
    chosen = numbers(train[0]), numbers(test[0])
    assert [len(each) for each in chosen] == [12, 50]
    assert len({*chosen[0], *chosen[1]}) == 62
    assert max(chosen[0]) >= 60 or max(chosen[1]) >= 60  # both of MNIST's own splits
    for rows, (_, labels) in zip(chosen, (train, test), strict=True):
        np.testing.assert_array_equal(labels, LABELS[rows])
    assert numbers(read(seed=1)[0]) != chosen[0]


def test_every_variation_is_of_the_same_images() -> None:
    for variation in ("rot", "bg_rand"):
        np.testing.assert_array_equal(read(variation)[1], read()[1])


@pytest.mark.parametrize("variation", ["basic", "rot", "bg_rand"])
@pytest.mark.parametrize("split", ["train", "test"])
def test_reading_can_begin_at_any_row(variation: str, split: str) -> None:
    x, y = read(variation, split)
    for first in range(1, len(y)):
        later, labels = read(variation, split, first=first)
        np.testing.assert_array_equal(later, x[first:])
        np.testing.assert_array_equal(labels, y[first:])


def test_the_background_is_noise_where_the_digit_is_darker() -> None:
    digits, noisy = read("basic", "test")[0], read("bg_rand", "test")[0]
    assert (noisy >= digits).all()
    noise = noisy[digits == 0]
    assert noise.mean() == pytest.approx(127.5, abs=15)
    other = read("bg_rand", "test", seed=0)[0]
    np.testing.assert_array_equal(noisy, other)
    assert not np.array_equal(noisy[0, 0, 0] > digits[0, 0, 0], noisy[1, 0, 0] > digits[1, 0, 0])


def test_a_digit_is_turned_about_its_middle_by_the_angle_that_was_drawn() -> None:
    from nnpipe.datasets.sources.mnist_variations import _turned

    rows, columns = np.indices((28, 28)) - 13.5
    image = np.uint8(250 * np.exp(-((rows + 6) ** 2 + (columns - 2) ** 2) / 8))[None]  # a blob above, to the right
    degrees = np.array([0.0, 30.0, 90.0, 200.0])
    turned = _turned(np.stack([image] * 4), degrees)
    np.testing.assert_array_equal(turned[0], image)
    np.testing.assert_array_equal(turned[2], np.rot90(image, axes=(1, 2)))
    for blob, angle in zip(turned[:, 0].astype(float), np.deg2rad(degrees), strict=True):
        place = np.array([(blob * columns).sum(), -(blob * rows).sum()]) / blob.sum()  # x to the right, y upwards
        expected = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]) @ [2, 6]
        np.testing.assert_allclose(place, expected, atol=0.1)


def test_angles_are_all_as_likely(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[float] = []
    name = "nnpipe.datasets.sources.mnist_variations._turned"
    monkeypatch.setattr(name, lambda images, degrees: (seen.extend(degrees), images)[1])
    for seed in range(20):
        read("rot", "test", seed)
    counts = np.histogram(seen, 8, (0, 360))[0]
    assert counts.sum() == len(seen) == 1000
    assert (np.abs(counts - 125) < 45).all()


def test_more_images_than_there_are_cannot_be_drawn() -> None:
    with pytest.raises(DataError, match="MNIST has not so many images") as caught:
        MnistVariations().open(Path(), 0)
    assert caught.value.expected == "samples and test_samples of at most 70 together"


def test_without_mnist_it_says_what_to_put_where(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NNPIPE_DATA", str(tmp_path / "elsewhere"))
    source = MnistVariations()
    assert source.describe(Path()) == Description((1, 28, 28), 10)
    assert source.files(Path()) is None
    with pytest.raises(DataError, match="the files of mnist are not there") as caught:
        source.open(Path(), 0)
    assert "mnist/train-images-idx3-ubyte.gz" in str(caught.value.hint)
