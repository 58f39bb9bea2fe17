"""Looking inside a network while it learns: how large weights, gradients and activations of each layer are.

Glorot & Bengio 2010, sections 3 and 4: where gradients vanish and units saturate, it is seen layer by layer.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from nnpipe.models.network import Network
from nnpipe.training.examples import Examples
from nnpipe.training.objective import Objective

PROBE = 500  # training examples that are looked at, the same each time
SATURATED = {"sigmoid": (0.05, 0.95), "tanh": (-0.9, 0.9), "softsign": (-0.9, 0.9)}  # values outside are
RECTIFIED = ("relu",)  # a unit that gives nothing for any example does not learn


class NetworkInspector:
    """An ``Inspector``. Looks at ``network`` with the same examples each time, and leaves it as it was."""

    def __init__(self, network: Network, objective: Objective, examples: Examples) -> None:
        self.network, self.objective = network, objective
        self.x, self.y = examples.rows(0, PROBE)

    def weights(self) -> dict[str, list[Tensor]]:
        """The weights of each layer that has some, as they are now."""
        return {name: [weight.detach().clone() for weight in own] for name, own in self._own()}

    def look(self, before: dict[str, list[Tensor]] | None = None) -> dict[str, dict[str, float]]:
        """Layer -> measures. Norms are Euclidean, of all weights of a layer together.

        weight_norm; gradient_norm: of the objective's mean over the examples; update_norm: of what the last step
        changed, where ``before`` says what was there before it; activation_mean, activation_std: over examples and
        units; saturated: the share of values at the flat ends of the layer's nonlinearity; dead: the share of units
        that give 0 for every example.
        """
        with self._undisturbed(), torch.enable_grad():
            self.objective.gradient(self.x, self.y)
            norms = {name: self._norms(own, (before or {}).get(name)) for name, own in self._own()}
        self.network.eval()
        with torch.no_grad():
            activations = self.network.activations(self.x)
        found = {}
        for index, (layer, values) in enumerate(zip(self.network.architecture.layers, activations, strict=True)):
            found[str(index)] = {**norms.get(str(index), {}), **spread(getattr(layer, "activation", ""), values)}
        return found

    def _own(self) -> Iterator[tuple[str, list[nn.Parameter]]]:
        for index, layer in enumerate(self.network.layers):
            parameters = list(layer.parameters())
            if parameters:
                yield str(index), [p for p in parameters if p.ndim > 1] or parameters

    def _norms(self, own: list[nn.Parameter], before: list[Tensor] | None) -> dict[str, float]:
        norms = {"weight_norm": _norm(own), "gradient_norm": _norm([p.grad for p in own if p.grad is not None])}
        if before:
            norms["update_norm"] = _norm([p.detach() - old for p, old in zip(own, before, strict=True)])
        return norms

    @contextmanager
    def _undisturbed(self) -> Iterator[None]:
        """Random states and running statistics are afterwards what they were."""
        sources = list(self.objective.generators.values())
        states = [source.get_state() for source in sources]
        buffers = [(buffer, buffer.clone()) for buffer in self.objective.module.buffers()]
        yield
        for source, state in zip(sources, states, strict=True):
            source.set_state(state)
        for buffer, old in buffers:
            buffer.copy_(old)


def _norm(tensors: list[Tensor] | list[nn.Parameter]) -> float:
    return float(torch.stack([tensor.detach().double().norm() for tensor in tensors]).norm()) if tensors else 0.0


def spread(activation: str, values: Tensor) -> dict[str, float]:
    """``activation_mean`` and so on, as ``look`` tells them, of what leaves a layer: (examples, units, ...)."""
    found = {"activation_mean": float(values.mean()), "activation_std": float(values.std(correction=0))}
    if activation in SATURATED:
        low, high = SATURATED[activation]
        found["saturated"] = float(((values < low) | (values > high)).float().mean())
    if activation in RECTIFIED:
        largest = values.transpose(0, 1).flatten(1).amax(1)  # (units,)
        found["dead"] = float((largest == 0).float().mean())
    return found
