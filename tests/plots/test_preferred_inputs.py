"""Gradient ascent finds the inputs that were planted into networks, and stays where data may lie."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from nnpipe.errors import StageError
from nnpipe.plots.activation_maximisation import Room, maximised
from nnpipe.plots.picture import Subject
from nnpipe.plots.preferred_inputs import PreferredInputs, found_for

from .planted import planted, template


def room(radius: float = 1.0, end: float = 100.0) -> Room:
    return Room(torch.zeros(1, 6, 6), torch.full((1, 6, 6), -end), torch.full((1, 6, 6), end), radius)


def seeded() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def correlation(one: np.ndarray, other: np.ndarray) -> float:
    return float(np.corrcoef(one.ravel(), other.ravel())[0, 1])


def test_a_linear_units_preferred_input_is_its_weights_as_long_as_may_be() -> None:
    weights = torch.from_numpy(np.stack([template(0), template(1)]))
    found = maximised(lambda x: (x * weights).flatten(1).sum(1), room(2.5), 2, 60, 0, seeded())
    for made, weight in zip(found, weights, strict=True):
        torch.testing.assert_close(made, 2.5 * weight / weight.norm(), rtol=0, atol=0.01)


def test_two_units_that_agree_prefer_what_their_sum_does() -> None:
    """exp(a.x) + exp(b.x) with orthogonal a and b of length 1: by symmetry a stationary point is (a + b) / sqrt 2."""
    first, second = np.linalg.qr(np.stack([template(0).ravel(), template(1).ravel()]).T)[0].T
    rows = torch.from_numpy(np.stack([first, second])).float()

    def concave(x: torch.Tensor) -> torch.Tensor:
        return -((-(x.flatten(1) @ rows.T)).exp().sum(1))

    (made,) = maximised(concave, room(), 1, 100, 0, seeded())
    torch.testing.assert_close(made.flatten(), (rows[0] + rows[1]) / 2**0.5, rtol=0, atol=0.01)


def test_inputs_stay_within_the_range_and_the_distance() -> None:
    weight = torch.from_numpy(template(0))
    (made,) = maximised(lambda x: (x * weight).flatten(1).sum(1), room(3.0, end=0.5), 1, 60, 0, seeded())
    assert made.abs().max() <= 0.5
    assert made.norm() <= 3.0 + 1e-5
    # Most pixels are at an end of the range, on the side that the weight points to.
    assert (made.abs() > 0.49).float().mean() > 0.5
    assert (made.sign() == weight.sign())[weight.abs() > 0.5].all()


def test_blurring_makes_neighbours_alike() -> None:
    noise = torch.randn(1, 6, 6, generator=torch.Generator().manual_seed(3))
    sharp, soft = (
        maximised(lambda x: (x * noise).flatten(1).sum(1), room(), 1, 60, blur, seeded())[0, 0] for blur in (0, 0.7)
    )

    def roughness(image: torch.Tensor) -> float:
        return float(image.diff(dim=0).square().sum() / image.square().sum())

    assert roughness(soft) < roughness(sharp) / 2


@pytest.mark.parametrize("blur", [0, 0.3])
def test_the_classes_of_a_planted_network_of_two_layers_prefer_its_templates(blur: float) -> None:
    subject = planted()
    found = preferred(subject, PreferredInputs(blur=blur))
    assert [name for name, _ in found] == ["class-0", "class-1"]
    for label, (_, image) in enumerate(found):
        assert correlation(image, template(label)) > 0.99


def test_hidden_units_of_a_planted_network_prefer_its_templates() -> None:
    found = preferred(planted(), PreferredInputs(layer=1, units=[1, 0], blur=0))
    assert [name for name, _ in found] == ["unit 1", "unit 0"]
    assert correlation(found[0][1], template(1)) > 0.99
    assert correlation(found[1][1], template(0)) > 0.99


def test_a_filter_is_maximised_in_the_middle_of_its_map(colours: Subject) -> None:
    kernels = np.zeros((6, 3, 3, 3), np.float32)
    kernels[2, 1, 1, 1] = 1.0
    subject = replace(colours, tensors={**colours.tensors, "layers.0.weight": kernels})
    ((_, image),) = preferred(subject, PreferredInputs(layer=1, units=[2], blur=0))
    away = image - subject.inputs.mean(axis=0)
    assert np.unravel_index(np.abs(away).argmax(), away.shape) == (1, 2, 2)
    assert "Of a feature map the middle is asked" in PreferredInputs(layer=1).render(subject).drawing.caption
    rest = np.delete(away.ravel(), np.ravel_multi_index((1, 2, 2), away.shape))
    assert np.abs(rest).max() < away[1, 2, 2] / 3


def test_the_one_unit_of_two_classes_speaks_for_the_second_and_against_the_first() -> None:
    tensors = {"layers.0.weight": template(0).reshape(1, 36), "layers.0.bias": np.zeros(1, np.float32)}
    subject = replace(
        planted(),
        tensors=tensors,
        document={
            **planted().document,
            "architecture": {"layers": [{"kind": "dense", "units": 1, "activation": "sigmoid"}]},
        },
    )
    against, speaks = (image for _, image in preferred(subject, PreferredInputs(blur=0)))
    assert correlation(speaks, template(0)) > 0.99
    assert correlation(against, template(0)) < -0.99


def test_another_seed_leads_to_the_same_planted_input() -> None:
    first, second = (preferred(planted(), PreferredInputs(seed=seed))[0][1] for seed in (0, 1))
    assert correlation(first, second) > 0.99


def test_the_caption_counts_who_is_persuaded() -> None:
    caption = PreferredInputs().render(planted()).drawing.caption
    assert "2 of 2 are answered to more than any of 40 test examples; 2 are taken for their class" in caption


@pytest.mark.parametrize(
    ("options", "where", "expected"),
    [
        ({"layer": 3}, "visualize, preferred_inputs.layer", "a number from 1 to 2"),
        ({"layer": 1, "units": [4]}, "visualize, preferred_inputs.units", "a number from 0 to 3"),
        ({"units": [2]}, "visualize, preferred_inputs.units", "a number from 0 to 1"),
    ],
)
def test_what_is_not_there_is_refused(options: dict[str, object], where: str, expected: str) -> None:
    with pytest.raises(StageError) as caught:
        PreferredInputs.model_validate(options).render(planted())
    assert (caught.value.where, caught.value.expected) == (where, expected)


def preferred(subject: Subject, picture: PreferredInputs) -> list[tuple[str, np.ndarray]]:
    """Names and images, in the data's units, as the picture finds them."""
    found = found_for(picture, subject)
    return list(zip(found.names, found.images, strict=True))
