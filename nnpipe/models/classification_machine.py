"""The restricted Boltzmann machine that knows classes: a group of label units, of which one is on, beside its inputs.

E(v, y, h) = - visible_bias.v - label_bias_y - bias.h - h.W v - h.U_y, where U_y is the column of class y of the label
weights. It is the top of the deep belief net of Hinton, Osindero & Teh 2006, their associative memory, and the
classification RBM of Larochelle & Bengio 2008, section 2.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class ClassificationMachine(nn.Module):
    """weight: (hidden, inputs), label_weight: (hidden, classes), bias: (hidden,), label_bias: (classes,).

    v is (batch, inputs), from 0 to 1; labels (batch, classes), one-hot or probabilities; hidden (batch, hidden). With 0
    classes it is a machine without labels. Starts at zero. The bias of its inputs says nothing of classes, so it is
    kept by those who generate.
    """

    def __init__(self, inputs: int, hidden: int, classes: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(hidden, inputs))
        self.label_weight = nn.Parameter(torch.zeros(hidden, classes))
        self.bias = nn.Parameter(torch.zeros(hidden))
        self.label_bias = nn.Parameter(torch.zeros(classes))

    def forward(self, v: Tensor) -> Tensor:
        """label_bias_y + sum over hidden j of log(1 + exp(bias_j + W_j.v + U_jy)), (batch, classes).

        It is -F(v, y) less what all classes have in common, so that its softmax is p(y | v) exactly.
        """
        summed = F.linear(v, self.weight, self.bias)
        # Class by class: (batch, hidden, classes) as a whole would be large, here and in every format it leaves in.
        energies = [F.softplus(summed + own).sum(1) for own in self.label_weight.unbind(1)]
        return torch.stack(energies, 1) + self.label_bias

    def hidden_probabilities(self, v: Tensor, labels: Tensor) -> Tensor:
        """p(h = 1 | v, labels), (batch, hidden)."""
        summed = F.linear(v, self.weight, self.bias).add_(F.linear(labels, self.label_weight))
        return summed.to(v.dtype).sigmoid_()

    def label_probabilities(self, hidden: Tensor) -> Tensor:
        """p(y | hidden), (batch, classes)."""
        return torch.addmm(self.label_bias, hidden, self.label_weight).to(hidden.dtype).softmax(1)

    def visible_probabilities(self, hidden: Tensor, visible_bias: Tensor) -> Tensor:
        """p(v = 1 | hidden), (batch, inputs). visible_bias: (inputs,)."""
        return torch.addmm(visible_bias, hidden, self.weight).to(hidden.dtype).sigmoid_()

    def extra_repr(self) -> str:
        hidden, inputs = self.weight.shape
        return f"{inputs} inputs, {hidden} hidden, {len(self.label_bias)} classes"
