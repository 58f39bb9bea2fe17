"""The way down in a deep belief net: from the visible units of its top machine to data, layer by layer."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import chain, repeat

import torch
from torch import Tensor, nn


class Generative(nn.Module):
    """weights[k]: (inputs, units) from layer k down to what it sees; biases[k]: (inputs,); from the first layer on.

    visible_bias: (visible,), of the units that the top machine sees besides its labels. All units are binary, and data
    are the probabilities of the lowest. Parameters are called ``layers.<k>.weight``, ``layers.<k>.bias`` and
    ``visible_bias``.
    """

    def __init__(self, weights: Sequence[Tensor], biases: Sequence[Tensor], visible_bias: Tensor) -> None:
        super().__init__()
        self.layers = nn.ModuleList(_linear(*each) for each in zip(weights, biases, strict=True))
        self.visible_bias = nn.Parameter(visible_bias.detach().clone())

    @classmethod
    def transposed(cls, weights: Sequence[Tensor], visible_biases: Iterable[Tensor]) -> Generative:
        """By the same weights as the way up. weights: (units, inputs) of each layer from the first, the top's the last.

        visible_biases: of the same layers; zeros where there are fewer.
        """
        zeros = (weight.new_zeros(weight.shape[1]) for weight in weights)
        given = chain(visible_biases, repeat(None))
        biases = [zero if bias is None else bias.to(zero) for zero, bias in zip(zeros, given, strict=False)]
        return cls([weight.T for weight in weights[:-1]], biases[:-1], biases[-1])

    def down(self, states: Tensor, generator: torch.Generator) -> list[Tensor]:
        """What layers below give, from the data up to ``states``, (batch, visible), the last.

        Each is sampled from the one above; the data stay probabilities.
        """
        found = [states]
        for layer in reversed(self.layers):
            probabilities = layer(found[0]).sigmoid()
            found.insert(0, probabilities if layer is self.layers[0] else sampled(probabilities, generator))
        return found


def sampled(probabilities: Tensor, generator: torch.Generator) -> Tensor:
    """Binary states, each 1 with its probability, of the same dtype."""
    shape, device, dtype = probabilities.shape, probabilities.device, probabilities.dtype
    return torch.rand(shape, generator=generator, device=device, dtype=dtype).lt_(probabilities)


def _linear(weight: Tensor, bias: Tensor) -> nn.Linear:
    # skip_init, because the constructor alone would draw from the global generator.
    made: nn.Linear = nn.utils.skip_init(nn.Linear, weight.shape[1], weight.shape[0])  # type: ignore[no-untyped-call]
    with torch.no_grad():
        made.weight.copy_(weight)
        made.bias.copy_(bias)
    return made.to(weight.device)
