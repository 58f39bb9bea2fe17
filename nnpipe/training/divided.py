"""An objective whose batches are divided among the processes of a team."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from nnpipe.models.share import Share, sharing
from nnpipe.training.objective import Objective
from nnpipe.training.team import Team


class Divided:
    """``objective``, as an ``Objective``: each process computes its share of a batch, and all get the sum.

    All are given the whole batch. What they get has the same bits, so they take the same steps and stay the same; it is
    what one process would have computed but for the rounding of sums.
    """

    def __init__(self, objective: Objective, team: Team) -> None:
        self._objective, self._team = objective, team

    @property
    def module(self) -> nn.Module:
        return self._objective.module

    @property
    def generators(self) -> Mapping[str, torch.Generator]:
        return self._objective.generators

    def gradient(self, x: Tensor, y: Tensor | None) -> dict[str, Tensor]:
        share = self._share(x)
        with sharing(share):
            measures = self._objective.gradient(x[share.rows], None if y is None else y[share.rows])
        gradients = [p.grad for p in self.module.parameters() if p.grad is not None]
        totals = self._team.summed([*gradients, *measures.values()])
        for gradient, total in zip(gradients, totals, strict=False):
            gradient.copy_(total)
        return dict(zip(measures, totals[len(gradients) :], strict=True))

    def measure(self, x: Tensor, y: Tensor | None) -> dict[str, Tensor]:
        rows = self._share(x).rows
        measures = self._objective.measure(x[rows], None if y is None else y[rows])
        return dict(zip(measures, self._team.summed(list(measures.values())), strict=True))

    def _share(self, x: Tensor) -> Share:
        return Share.of(len(x), self._team.rank, self._team.size)
