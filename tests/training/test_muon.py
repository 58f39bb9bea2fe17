"""Muon and AdamW, as one, step as torch's two do."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from nnpipe.errors import StageError
from nnpipe.training.optimizers.adamw import AdamW
from nnpipe.training.optimizers.muon import Muon

SHAPES = [(5, 4), (5,), (6, 5), (6,), (3, 2, 2, 2), (3,), (3, 3), (3,)]
HIDDEN = [2, 4]  # all with two axes or more, but the first and the last of these


def parameters(*, channels_last: bool = False) -> list[nn.Parameter]:
    draw = torch.Generator().manual_seed(0)
    made = [torch.randn(shape, generator=draw) for shape in SHAPES]
    if channels_last:
        made = [t.to(memory_format=torch.channels_last) if t.ndim == 4 else t for t in made]
    return [nn.Parameter(tensor) for tensor in made]


def give_gradients(all_parameters: list[nn.Parameter], step: int) -> None:
    draw = torch.Generator().manual_seed(step)
    for parameter in all_parameters:
        parameter.grad = torch.empty_like(parameter).copy_(torch.randn(parameter.shape, generator=draw))


@pytest.mark.parametrize("channels_last", [False, True])
def test_hidden_weights_step_as_torchs_muon_and_the_others_as_its_adamw(channels_last: bool) -> None:
    ours, theirs = parameters(channels_last=channels_last), parameters()
    optimizer = Muon(learning_rate=0.03, momentum=0.9, weight_decay=0.1, adamw=AdamW(learning_rate=0.01)).build(ours)
    kernel = nn.Parameter(theirs[4].detach().flatten(1))
    muon = torch.optim.Muon([theirs[2], kernel], lr=0.03, momentum=0.9, weight_decay=0.1)
    others = [p for index, p in enumerate(theirs) if index not in HIDDEN]
    adamw = torch.optim.AdamW(others, lr=0.01, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.01)
    for step in range(4):
        for all_parameters in (ours, theirs):
            give_gradients(all_parameters, step)
        kernel.grad = theirs[4].grad.flatten(1)  # type: ignore[union-attr]
        optimizer.step(lambda: 0.0)
        muon.step()
        adamw.step()
    theirs[4].data = kernel.detach().view_as(theirs[4])
    for index, (our, their) in enumerate(zip(ours, theirs, strict=True)):
        torch.testing.assert_close(our, their, msg=f"parameter {index}")


def test_a_step_of_muon_is_nearly_orthogonal() -> None:
    ours = parameters()
    before = ours[2].detach().clone()
    give_gradients(ours, 0)
    Muon(learning_rate=1.0, weight_decay=0).build(ours).step(lambda: 0.0)
    sizes = torch.linalg.svdvals(before - ours[2].detach()) / (6 / 5) ** 0.5
    assert 0.6 < sizes.min() < sizes.max() < 1.3


def test_weights_that_a_limit_has_changed_are_stepped_from_where_they_are() -> None:
    ours = parameters()
    optimizer = Muon(learning_rate=1e-9, weight_decay=0).build(ours)
    with torch.no_grad():
        ours[4].fill_(0.25)
    give_gradients(ours, 0)
    optimizer.step(lambda: 0.0)
    torch.testing.assert_close(ours[4].detach(), torch.full(SHAPES[4], 0.25))


def test_the_state_of_both_is_in_the_state_dict() -> None:
    ours = parameters()
    optimizer: Any = Muon().build(ours)
    give_gradients(ours, 0)
    optimizer.step(lambda: 0.0)
    state = optimizer.state_dict()["state"]
    assert [set(state[number]) for number in (0, 1, 2)] == [
        {"momentum_buffer"},
        {"momentum_buffer"},
        {"step", "exp_avg", "exp_avg_sq"},
    ]
    assert len(state) == len(SHAPES)


def test_a_network_without_hidden_weights_is_refused() -> None:
    with pytest.raises(StageError, match="between the first and the last"):
        Muon().build(parameters()[:4])
