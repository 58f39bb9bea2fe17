"""Samples of deep belief nets against the distribution of all their states."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
import pytest
import torch

from nnpipe.models.deep_belief_net import DeepBeliefNet

INPUTS, VISIBLE, HIDDEN, CLASSES = 4, 3, 3, 2


def tensors_of(seed: int, spread: float = 1.0, **shapes: tuple[int, ...]) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    return {name: rng.normal(0, spread, shape).astype(np.float32) for name, shape in shapes.items()}


TOP = tensors_of(
    0, 2.0, weight=(HIDDEN, VISIBLE), label_weight=(HIDDEN, CLASSES), bias=(HIDDEN,), label_bias=(CLASSES,)
)
VISIBLE_BIAS = tensors_of(1, visible_bias=(VISIBLE,))
BELOW = tensors_of(2, weight=(VISIBLE, INPUTS), bias=(VISIBLE,), visible_bias=(INPUTS,))
DOWN = tensors_of(3, weight=(INPUTS, VISIBLE), bias=(INPUTS,))


def net_of(*, labelled: bool, below: bool) -> DeepBeliefNet:
    network = {f"layers.{int(below)}.{name}": array for name, array in TOP.items()}
    if labelled:
        down = {f"layers.0.{name}": array for name, array in DOWN.items()} if below else {}
        return DeepBeliefNet.learned(network, {**down, **VISIBLE_BIAS})
    top = {**{name: TOP[name] for name in ("weight", "bias")}, **VISIBLE_BIAS}
    return DeepBeliefNet.pretrained([BELOW, top] if below else [top])


def sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


def mean(*, labelled: bool, below: bool, label: int | None, unit: int | None) -> np.ndarray:
    """Of the data that the net generates, by enumeration of its top machine."""
    v, h = (np.array(list(product((0.0, 1.0), repeat=units))) for units in (VISIBLE, HIDDEN))
    negative = (v @ VISIBLE_BIAS["visible_bias"])[:, None, None] + (h @ TOP["bias"])[None, None]
    negative = negative + (v @ TOP["weight"].T @ h.T)[:, None]
    if labelled:
        negative = negative + TOP["label_bias"][None, :, None] + (h @ TOP["label_weight"]).T[None]
    p = np.exp(negative)
    if label is not None:
        p = p[:, [label]]
    if unit is not None:
        p = p * h[:, unit]
    of_v = p.sum((1, 2)) / p.sum()
    if not below:
        return of_v @ v
    weight, bias = (DOWN["weight"], DOWN["bias"]) if labelled else (BELOW["weight"].T, BELOW["visible_bias"])
    return of_v @ sigmoid(v @ weight.T + bias)


@pytest.mark.parametrize("below", [False, True], ids=["alone", "on a layer"])
@pytest.mark.parametrize(
    ("labelled", "label", "unit"),
    [(False, None, None), (False, None, 1), (True, None, None), (True, 1, None), (True, None, 2), (True, 0, 2)],
    ids=str,
)
def test_long_chains_give_the_nets_own_distribution(
    labelled: bool, label: int | None, unit: int | None, below: bool
) -> None:
    chains = 20_000
    held = None if label is None else torch.full((chains,), label)
    net, draws = net_of(labelled=labelled, below=below), torch.Generator().manual_seed(0)
    found = net.samples(chains, [1, 40], draws, held, unit)
    expected = mean(labelled=labelled, below=below, label=label, unit=unit)
    assert found.shape == (2, chains, INPUTS if below else VISIBLE)
    np.testing.assert_allclose(found[1].mean(0), expected, atol=0.012)


def test_a_label_and_a_unit_that_are_held_change_what_is_generated() -> None:
    options: list[Any] = [(None, None), (0, None), (1, None), (None, 2)]
    means = [mean(labelled=True, below=False, label=label, unit=unit) for label, unit in options]
    for index, one in enumerate(means):
        assert all(np.abs(one - other).max() > 0.04 for other in means[index + 1 :])


def test_one_seed_gives_the_same_samples_and_touches_no_other() -> None:
    state, net = torch.get_rng_state(), net_of(labelled=True, below=True)
    first, again, other = (net.samples(3, [5], torch.Generator().manual_seed(seed)) for seed in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert torch.get_rng_state().equal(state)
    assert not first.requires_grad
