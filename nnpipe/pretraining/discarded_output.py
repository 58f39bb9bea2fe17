"""A network of one hidden layer and a softmax layer that is there for the hidden one to learn by.

Bengio, Lamblin, Popovici & Larochelle 2007, section 4.
"""

from __future__ import annotations

from math import prod

import torch
from torch import Tensor
from torch.nn import functional as F

from nnpipe.models.activations import activation_function
from nnpipe.models.layers.conv2d import Conv2d
from nnpipe.models.layers.dense import Dense
from nnpipe.pretraining.objective import WEIGHTS, Visible
from nnpipe.training.precision import Precision, products_in
from nnpipe.training.seeds import generator
from nnpipe.training.supervised import answers


class DiscardedOutput:
    """A ``LayerObjective``; measures ``loss``, the cross-entropy of the classes, and ``accuracy``.

    module: the hidden layer, and beside its own parameters ``output_weight`` (classes, hidden values) and
        ``output_bias`` (classes,), which nobody reads afterwards.
    precision: of the products of a learning step; losses, and what is measured, are float32.
    """

    def __init__(self, layer: Dense | Conv2d, visible: Visible, seed: int, precision: Precision = "float32") -> None:
        self.precision: Precision = precision
        draws = generator(seed, WEIGHTS)
        self._shape = visible.shape if isinstance(layer, Conv2d) else (prod(visible.shape),)
        self._activation = activation_function(layer.activation)
        self.module = layer.build(self._shape, draws)
        hidden = prod(layer.output_shape(self._shape))
        output = Dense(units=visible.classes, activation="softmax").build((hidden,), draws)
        for name, parameter in output.named_parameters():
            self.module.register_parameter(f"output_{name}", parameter)
        self.module.to(visible.mean.device)
        self.generators: dict[str, torch.Generator] = {}

    def gradient(self, x: Tensor, y: Tensor | None) -> dict[str, Tensor]:
        """Backpropagation of the batch's mean loss. x: (batch, ...); y: (batch,) int64."""
        self.module.train()
        self.module.zero_grad()
        loss, right = self._compare(x, answers(y), self.precision)
        (loss / len(x)).backward()  # type: ignore[no-untyped-call]
        return {"loss": loss.detach(), "accuracy": right}

    @torch.no_grad()
    def measure(self, x: Tensor, y: Tensor | None) -> dict[str, Tensor]:
        self.module.eval()
        loss, right = self._compare(x, answers(y))
        return {"loss": loss, "accuracy": right}

    @torch.no_grad()
    def represent(self, x: Tensor) -> Tensor:
        """The hidden activations of x: (batch, hidden), or (batch, filters, rows, columns)."""
        return self._hidden(x)

    def _hidden(self, x: Tensor) -> Tensor:
        return self._activation(self.module(x.reshape(len(x), *self._shape)))

    def _compare(self, x: Tensor, y: Tensor, precision: Precision = "float32") -> tuple[Tensor, Tensor]:
        """Loss, and how many classes are right, over the batch."""
        module = self.module
        with products_in(precision, x.device.type):
            hidden = self._hidden(x).flatten(1)
            logits = F.linear(hidden, module.get_parameter("output_weight"), module.get_parameter("output_bias"))
        logits = logits.to(x.dtype)
        return F.cross_entropy(logits, y, reduction="sum"), (logits.argmax(1) == y).sum()
