"""Augmentation: what torchvision's transforms do one picture at a time, done to a batch at once."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from pydantic import ValidationError
from torchvision.transforms import InterpolationMode
from torchvision.transforms.v2 import functional

from nnpipe.spec import members
from nnpipe.training.augmentation import AnyAugmentation
from nnpipe.training.augmentation.affine import Affine
from nnpipe.training.augmentation.augmentation import Augmentation
from nnpipe.training.augmentation.crop import Crop
from nnpipe.training.augmentation.elastic import Elastic
from nnpipe.training.augmentation.erasing import Erasing
from nnpipe.training.augmentation.flip import Flip
from nnpipe.training.augmentation.shift import Shift
from nnpipe.training.augmentation.warp import warp, warp_affine

EVERY = [
    Shift(pixels=2),
    Affine(degrees=15, scale=(0.9, 1.1), shear=10, translate=2),
    Crop(smallest=0.7),
    Flip(axis="vertical"),
    Elastic(alpha=8, sigma=2),
    Erasing(probability=0.9),
]


def draws(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.fixture
def pictures() -> torch.Tensor:
    return torch.rand(6, 2, 12, 10, generator=draws(7))


def test_every_augmentation_has_a_case() -> None:
    assert {type(case) for case in EVERY} == set(members(AnyAugmentation))


@pytest.mark.parametrize("augmentation", EVERY, ids=lambda case: case.kind)
def test_an_augmentation_keeps_the_shape_and_draws_from_its_generator_alone(
    augmentation: Augmentation, pictures: torch.Tensor
) -> None:
    torch.manual_seed(1)
    first = augmentation.apply(pictures, draws())
    torch.manual_seed(2)
    assert torch.equal(augmentation.apply(pictures, draws()), first)
    assert first.shape == pictures.shape
    assert first.dtype == torch.float32
    assert not torch.equal(augmentation.apply(pictures, draws(1)), first)
    assert not torch.equal(first, pictures)


@pytest.mark.parametrize("augmentation", EVERY, ids=lambda case: case.kind)
def test_every_picture_of_a_batch_draws_its_own(augmentation: Augmentation) -> None:
    same = torch.rand(1, 1, 12, 12, generator=draws(3)).expand(16, 1, 12, 12)
    assert len({tuple(picture.flatten().tolist()) for picture in augmentation.apply(same, draws())}) > 1


@pytest.mark.parametrize("angle", [-30.0, 0.0, 20.0])
@pytest.mark.parametrize("shear", [0.0, 12.0])
@pytest.mark.parametrize("shift", [(0, 0), (2, -1)])
def test_an_affine_warp_is_that_of_torchvision(
    angle: float, shear: float, shift: tuple[int, int], pictures: torch.Tensor
) -> None:
    expected = functional.affine(
        pictures, angle, list(shift), 1.2, [shear, 0.0], interpolation=InterpolationMode.BILINEAR, fill=[0.0]
    )
    turn, lean = math.radians(angle), math.tan(math.radians(shear))
    rows = [
        [math.cos(turn), -lean * math.cos(turn) - math.sin(turn)],
        [math.sin(turn), math.cos(turn) - lean * math.sin(turn)],
    ]
    matrix = 1.2 * torch.tensor(rows).expand(6, 2, 2)
    found = warp_affine(pictures, matrix, torch.tensor(shift, dtype=torch.float32).expand(6, 2))
    inside = (slice(None), slice(None), slice(3, -3), slice(3, -3))  # at its border torchvision fades otherwise
    torch.testing.assert_close(found[inside], expected[inside], rtol=1e-4, atol=1e-4)


def test_an_elastic_warp_is_that_of_torchvision(pictures: torch.Tensor) -> None:
    displacement = torch.randn(1, 12, 10, 2, generator=draws()) / 2
    half = torch.tensor([5.0, 6.0])
    expected = functional.elastic(pictures, displacement / half, interpolation=InterpolationMode.BILINEAR, fill=[0.0])
    found = warp(pictures, displacement.expand(6, 12, 10, 2))
    inside = (slice(None), slice(None), slice(3, -3), slice(3, -3))
    torch.testing.assert_close(found[inside], expected[inside], rtol=1e-4, atol=1e-4)


def test_shifts_are_whole_pixels_and_every_one_occurs() -> None:
    picture = torch.zeros(1, 1, 5, 5)
    picture[0, 0, 2, 2] = 1
    shifted = Shift(pixels=2).apply(picture.expand(500, 1, 5, 5), draws())
    places = {tuple(place) for place in (shifted[:, 0] == 1).nonzero()[:, 1:].tolist()}
    assert len((shifted == 1).nonzero()) == 500  # none is lost
    assert places == {(row, column) for row in range(5) for column in range(5)}


def test_a_flip_is_a_mirror(pictures: torch.Tensor) -> None:
    assert torch.equal(Flip(probability=1).apply(pictures, draws()), functional.horizontal_flip(pictures))
    vertical = Flip(axis="vertical", probability=1).apply(pictures, draws())
    assert torch.equal(vertical, functional.vertical_flip(pictures))


def test_erasing_takes_out_one_rectangle_of_the_size_that_was_asked_for() -> None:
    ones = torch.ones(400, 3, 20, 30)
    erased = Erasing(probability=0.5, area=(0.1, 0.2)).apply(ones, draws()) == 0
    hit = erased.flatten(1).any(1)
    assert 150 < int(hit.sum()) < 250
    for picture in erased[hit]:
        assert torch.equal(picture[0], picture[1])  # in all channels
        rows, columns = picture[0].any(1).nonzero(), picture[0].any(0).nonzero()
        height, width = len(rows), len(columns)
        assert int(picture[0].sum()) == height * width  # nothing within is left
        assert 0.05 < height * width / 600 < 0.25


def test_crops_stay_within_the_picture(pictures: torch.Tensor) -> None:
    ones = torch.ones(50, 1, 20, 20)
    cropped = Crop(smallest=0.5).apply(ones, draws())
    assert float(cropped[:, :, 1:-1, 1:-1].min()) == pytest.approx(1)  # nothing from outside comes in


@pytest.mark.parametrize(
    ("mistake", "message"),
    [
        (lambda: Affine(), "changes nothing"),
        (lambda: Affine(scale=(1.2, 0.8)), "an empty range"),
        (lambda: Erasing(area=(0.3, 0.1)), "an empty range"),
        (lambda: Shift(pixels=0), "greater than or equal to 1"),
    ],
)
def test_an_augmentation_that_makes_no_sense_is_refused(mistake: Any, message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        mistake()
