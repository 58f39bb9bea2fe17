"""The gradient that teaches a deep Boltzmann machine: mean-field statistics of data, Gibbs chains' of the machine.

Salakhutdinov & Hinton 2009, section 2, algorithm 1. With means fixed it is the negative of an estimate of the gradient
of the bound of the log-likelihood, mean over the batch.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from threading import Event
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn import functional as F

from nnpipe.models.deep_boltzmann_machine import DeepBoltzmannMachine
from nnpipe.models.generative import sampled
from nnpipe.pretraining.annealed_importance import estimate_log_partition
from nnpipe.pretraining.boltzmann_machine import BoltzmannMachine
from nnpipe.pretraining.contrast import Pairs, contrast
from nnpipe.pretraining.likelihood import BLOCK
from nnpipe.pretraining.objective import SAMPLES, WEIGHTS
from nnpipe.training.examples import Examples
from nnpipe.training.precision import Precision, products_in
from nnpipe.training.seeds import generator

if TYPE_CHECKING:
    from nnpipe.pretraining.joint.deep_boltzmann_machine import DeepBoltzmann

ANNEALING = 4  # purpose of the generator that the likelihood is sampled with
CHAIN = "chain_"  # buffers of the machine: the states of odd layers, (chains, units), which tell all of a chain


class VariationalLearning:
    """A ``JointObjective``; measures ``reconstruction_error``, squared and summed over units, and ``free_energy``.

    Both are of the means that inference finds. free_energy: the variational one; it says nothing without the partition
    function.

    machine: to be taught. examples: to learn from, values from 0 to 1, read as probabilities.
    precision: of the products of a learning step; what is measured of its means is float32.
    """

    def __init__(
        self,
        machine: DeepBoltzmannMachine,
        examples: Examples,
        seed: int,
        rule: DeepBoltzmann,
        precision: Precision = "float32",
    ) -> None:
        self.module, self.rule = machine.to(examples.device), rule
        self.precision: Precision = precision
        self._seed, self._some = seed, examples.rows(0, BLOCK)[0].flatten(1)
        self._start_chains(generator(seed, WEIGHTS, device=examples.device))
        self._generator = generator(seed, SAMPLES, device=examples.device)
        self.generators = {"samples": self._generator}

    @torch.no_grad()
    def gradient(self, x: Tensor, y: Tensor | None) -> dict[str, Tensor]:
        """Fill ``.grad`` of the machine. x: (batch, ...) from 0 to 1; y is not looked at."""
        machine = self.module
        with products_in(self.precision, x.device.type):
            data = machine.mean_field(x.flatten(1), self.rule.mean_field_steps)
            model = self._chains()
        measures = self._measures(data)
        for index, weight in enumerate(machine.weights):
            seen, drawn = (Pairs(each[index], each[index + 1]) for each in (data, model))
            weight.grad = contrast(weight, seen, drawn, self.rule.weight_decay, self.precision)
        for bias, of_data, of_model in zip(machine.biases, data, model, strict=True):
            bias.grad = of_model.mean(0) - of_data.mean(0)
        return measures

    @torch.no_grad()
    def measure(self, x: Tensor, y: Tensor | None) -> dict[str, Tensor]:
        """The same measures; nothing is sampled."""
        return self._measures(self.module.mean_field(x.flatten(1), self.rule.mean_field_steps))

    def layers(self) -> list[dict[str, Tensor]]:
        return self.module.layers()

    @torch.no_grad()
    def conclude(self, splits: Mapping[str, Examples], stopping: Event) -> dict[str, float]:
        """Where the rule asks for it, ``log_partition`` and for each split the mean of a lower bound of log p, nats.

        By enumeration where the odd or the even layers have at most 20 units, else by annealed importance sampling,
        with its standard error; then the bound is as good as the estimate.
        """
        if self.rule.likelihood is None:
            return {}
        found = self._partition(stopping)
        for split, examples in splits.items():
            free = sum(
                self.module.variational_free_energy(means).double().sum().item() for means in self._inferred(examples)
            )
            found[f"{split}_log_likelihood_bound"] = -free / len(examples) - found["log_partition"]
        return found

    def _partition(self, stopping: Event) -> dict[str, float]:
        machine, asked = restricted(self.module), self.rule.likelihood
        assert asked is not None
        if machine.enumerable:
            return {"log_partition": machine.log_partition().item()}
        means = self.module.mean_field(self._some, self.rule.mean_field_steps)
        estimate = estimate_log_partition(
            machine,
            torch.cat([each.mean(0) for each in means[::2]]),
            runs=asked.runs,
            temperatures=asked.temperatures,
            generator=generator(self._seed, ANNEALING, device=self._some.device),
            stopping=stopping,
        )
        return {
            "log_partition": estimate.log_partition,
            "log_partition_standard_error": estimate.standard_error,
            "effective_runs": estimate.effective_runs,
        }

    def _inferred(self, examples: Examples) -> Iterator[list[Tensor]]:
        for x, _ in examples.in_order(BLOCK):
            yield self.module.mean_field(x.flatten(1), self.rule.mean_field_steps)

    def _start_chains(self, draws: torch.Generator) -> None:
        rows = torch.arange(self.rule.chains, device=self._some.device) % len(self._some)
        with torch.no_grad():
            means = self.module.mean_field(self._some[rows], self.rule.mean_field_steps)
        for layer in range(1, len(means), 2):
            self.module.register_buffer(f"{CHAIN}{layer}", sampled(means[layer], draws))

    def _chains(self) -> Sequence[Tensor]:
        """Some Gibbs steps on: states of the even layers, and means of the odd ones given them."""
        machine, states = self.module, [bias.new_empty(0) for bias in self.module.biases]
        kept = {layer: machine.get_buffer(f"{CHAIN}{layer}") for layer in range(1, len(states), 2)}
        for layer, chain in kept.items():
            states[layer] = chain
        for _ in range(self.rule.gibbs_steps):
            states, means = machine.gibbs_step(states, self._generator)
        for layer, chain in kept.items():
            chain.copy_(states[layer])
        return means

    def _measures(self, means: Sequence[Tensor]) -> dict[str, Tensor]:
        reconstruction = self.module.layer_input(means, 0).sigmoid()
        return {
            "reconstruction_error": F.mse_loss(reconstruction, means[0], reduction="sum"),
            "free_energy": self.module.variational_free_energy(means).sum(),
        }


def restricted(machine: DeepBoltzmannMachine) -> BoltzmannMachine:
    """The same distribution as a machine of two sides: the even layers, side by side, and the odd ones.

    No two even layers are neighbours, and no two odd ones: so the even are visible units, and the odd hidden ones, and
    layers that are no neighbours have weights of zero between them.
    """
    sizes = [len(bias) for bias in machine.biases]
    places = [slice(before := sum(sizes[layer % 2 : layer : 2]), before + sizes[layer]) for layer in range(len(sizes))]
    same = BoltzmannMachine(sum(sizes[::2]), sum(sizes[1::2])).to(machine.biases[0])
    with torch.no_grad():
        for layer, bias in enumerate(machine.biases):
            (same.bias if layer % 2 else same.visible_bias)[places[layer]] = bias
        for below, weight in enumerate(machine.weights):
            odd, even, turned = (below, below + 1, weight.T) if below % 2 else (below + 1, below, weight)
            same.weight[places[odd], places[even]] = turned
    return same
