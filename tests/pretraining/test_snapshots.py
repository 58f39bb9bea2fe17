"""Filters kept as they form: which units, after which epochs, and that nothing is disturbed."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from nnpipe.pretraining.snapshots import MOST_VALUES, Snapshots, snapshots_of, spread


def parameter(*shape: int) -> nn.Parameter:
    return nn.Parameter(torch.randn(shape, generator=torch.Generator().manual_seed(0)))


def test_the_epochs_of_a_short_training_are_all_looked_at() -> None:
    assert spread(5, 6) == (0, 1, 2, 3, 4, 5)


@pytest.mark.parametrize(("epochs", "count"), [(1, 2), (7, 3), (20, 20), (30, 20), (50, 20), (1000, 20)])
def test_looks_at_a_long_training_are_closer_together_at_first_and_reach_its_end(epochs: int, count: int) -> None:
    chosen = spread(epochs, count)
    assert len(set(chosen)) == count
    assert (chosen[0], chosen[-1]) == (0, epochs)
    steps = np.diff(chosen)
    assert steps[0] == min(steps)
    assert steps[-1] == max(steps)


def test_weights_are_kept_as_they_were_after_each_of_the_epochs() -> None:
    weight = parameter(3, 4)
    snapshots, before = Snapshots(weight, 2, (0, 1, 3)), weight.detach().clone()
    for _ in range(4):
        assert snapshots.look(snapshots.weights()) == {}
        with torch.no_grad():
            weight.add_(1)
    found = snapshots.tensors()
    assert found["epoch"].tolist() == [0, 1, 3]
    for place, grown in enumerate((0, 1, 3)):
        torch.testing.assert_close(found["weight"][place], (before[:2] + grown).half())


def test_of_a_training_that_ended_early_only_what_was_seen_is_told() -> None:
    snapshots = Snapshots(parameter(3, 4), 3, (0, 1, 3))
    snapshots.look()
    snapshots.look()
    assert {name: len(tensor) for name, tensor in snapshots.tensors().items()} == {"weight": 2, "epoch": 2}


def test_snapshots_are_state_of_the_module_that_learns_and_none_of_its_parameters() -> None:
    weight = parameter(3, 4)
    snapshots, other = Snapshots(weight, 2, (0, 1)), Snapshots(parameter(3, 4), 2, (0, 1))
    assert not list(snapshots.parameters())
    snapshots.look()
    other.load_state_dict(snapshots.state_dict())
    assert int(other.looks) == 1
    torch.testing.assert_close(other.filters, snapshots.filters)


def test_weights_beyond_float16_stay_finite() -> None:
    snapshots = Snapshots(nn.Parameter(torch.tensor([[1e30, -1e30, 1.0]])), 1, (0,))
    snapshots.look()
    assert snapshots.tensors()["weight"].isfinite().all()


@pytest.mark.parametrize(
    ("shape", "visible", "epochs", "kept"),
    [
        ((500, 64), (1, 8, 8), 30, (20, 36, 64)),
        ((500, 784), (1, 28, 28), 50, (20, 16, 784)),
        ((500, 784), (1, 28, 28), 10, (11, 30, 784)),
        ((32, 1, 5, 5), (1, 28, 28), 3, (4, 32, 1, 5, 5)),
        ((500, 9216), (1, 96, 96), 50, (7, 4, 9216)),
        ((2, 64), (1, 8, 8), 1, (2, 2, 64)),
    ],
)
def test_what_is_kept_is_half_a_megabyte_at_most(
    shape: tuple[int, ...], visible: tuple[int, ...], epochs: int, kept: tuple[int, ...]
) -> None:
    snapshots = snapshots_of(parameter(*shape), visible, epochs)
    assert snapshots is not None
    assert snapshots.filters.shape == kept
    assert snapshots.filters.numel() <= MOST_VALUES
    assert snapshots.epochs[-1] == epochs


@pytest.mark.parametrize(
    ("shape", "visible"),
    [((8, 64), (64,)), ((8, 128), (2, 8, 8)), ((8, 3, 1, 1), (3, 8, 8)), ((2, 150528), (3, 224, 224))],
    ids=["vectors", "two channels", "kernels of one pixel", "large images"],
)
def test_of_what_is_no_picture_or_too_large_nothing_is_kept(shape: tuple[int, ...], visible: tuple[int, ...]) -> None:
    assert snapshots_of(parameter(*shape), visible, 10) is None
