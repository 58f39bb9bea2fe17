"""Contrastive divergence, from the data or with persistent chains: the gradient that teaches a Boltzmann machine.

It is the negative of an estimate of the log-likelihood's gradient, mean over the batch, so that a learning rate here
is the learning rate of Hinton's guide (2010). Gaussian visible units learn as if they were scaled to variance 1, as the
guide scales them (section 13.2): of the exact gradient the part of a weight is divided by the unit's variance, and that
of a visible bias multiplied by it. So learning rates do not depend on what the data are measured in.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from threading import Event

import torch
from torch import Tensor
from torch.nn import functional as F

from nnpipe.pretraining.boltzmann_machine import BoltzmannMachine
from nnpipe.pretraining.contrast import Pairs, contrast
from nnpipe.pretraining.likelihood import Likelihood
from nnpipe.pretraining.objective import SAMPLES, WEIGHTS, Visible
from nnpipe.pretraining.pseudo_likelihood import log_pseudo_likelihood
from nnpipe.pretraining.samplers.contrastive import Contrastive
from nnpipe.pretraining.samplers.sampler import Sampler
from nnpipe.pretraining.sparsity import Sparsity
from nnpipe.pretraining.units.bernoulli import Bernoulli
from nnpipe.training.examples import Examples
from nnpipe.training.gibbs_steps import GibbsSteps, steps_at
from nnpipe.training.precision import Precision, products_in
from nnpipe.training.seeds import generator

FIRST_WEIGHTS = 0.01  # standard deviation; Hinton 2010, section 8
ANNEALING = 4  # purpose of the generator that the likelihood is sampled with
SEEN = "examples_seen"  # the buffer that tells the time where the number of steps has a schedule


@dataclass(frozen=True)
class Rule:
    """How a machine learns.

    steps: of Gibbs sampling between two updates.
    weight_decay: L2 penalty on weights, not on biases.
    likelihood: how it is measured at the end; None: not at all.
    precision: of the products of a learning step; what is measured besides is float32.
    """

    steps: GibbsSteps = 1
    weight_decay: float = 0.0
    sparsity: Sparsity | None = None
    likelihood: Likelihood | None = None
    precision: Precision = "float32"


class ContrastiveDivergence:
    """A ``LayerObjective``; measures ``reconstruction_error``, and of examples that are not learned from
    ``free_energy_gap`` and ``pseudo_likelihood``, for which a learning step has no time.

    machine: to be taught; its first weights are drawn here, its first visible biases are those of the data's means.
    seen: the training examples. Hidden units enter the gradient with their means, which are less noisy than samples
        (Hinton 2010, section 3.3); what of the visible units is a mean and what a sample, the sampler says.

    reconstruction_error: squared, summed over units; from sampled hidden units where chains start at the data, from
    their means otherwise.
    free_energy_gap: how much more free energy they have on average than the first training examples have with the same
    weights; by itself, without the partition function, a free energy says nothing. Where the gap grows, the machine
    overfits (Hinton 2010, section 6).
    pseudo_likelihood: of binary visible units, in nats, each example looked at in one of them, all in turn.
    Rectified hidden units have no free energy, and no measure that needs one.
    """

    def __init__(
        self,
        machine: BoltzmannMachine,
        seen: Visible,
        seed: int,
        sampler: Sampler | None = None,
        rule: Rule | None = None,
    ) -> None:
        self.module, self.sampler, self.rule, self.seen = machine, sampler or Contrastive(), rule or Rule(), seen
        weights, device = generator(seed, WEIGHTS), seen.mean.device
        with torch.no_grad():
            machine.weight.normal_(0, FIRST_WEIGHTS, generator=weights)
            machine.visible_bias.copy_(machine.visible_units.first_bias(seen.mean))
        if self.rule.sparsity:
            self.rule.sparsity.begin(machine)
        self.sampler.begin(machine, seen.mean, weights)
        if not isinstance(self.rule.steps, int):
            machine.register_buffer(SEEN, torch.zeros((), dtype=torch.int64))
        machine.to(device)
        self._tells_units = machine.hidden_units.closed_form and isinstance(machine.visible_units, Bernoulli)
        # Until the next learning step: the free energy of training examples, and how many others were measured.
        self._usual: Tensor | None = None
        self._looked_at = 0
        self._seed, self._generator = seed, generator(seed, SAMPLES, device=device)
        self.generators = {"samples": self._generator}

    @torch.no_grad()
    def gradient(self, x: Tensor, y: Tensor | None) -> dict[str, Tensor]:
        """Fill ``.grad`` of the machine. x: (batch, ...); y is not looked at."""
        machine, v = self.module, x.flatten(1)
        with products_in(self.rule.precision, v.device.type):
            summed = machine.hidden_input(v)
            h = machine.hidden_units.mean(summed)
            drawn = self.sampler.draw(machine, summed, h, self._steps(len(v)), self._generator)
            self._fill(v, h, drawn.v, drawn.h)
        self._usual, self._looked_at = None, 0
        return {"reconstruction_error": _squared_error(drawn.reconstruction, v)}

    @torch.no_grad()
    def measure(self, x: Tensor, y: Tensor | None) -> dict[str, Tensor]:
        """The same measure and two more; nothing is sampled: reconstructions are made from hidden means."""
        machine, v = self.module, x.flatten(1)
        summed = machine.hidden_input(v)
        reconstruction = machine.visible_probabilities(machine.hidden_units.mean(summed))
        measures = {"reconstruction_error": _squared_error(reconstruction, v)}
        if self._tells_units:
            units = torch.arange(self._looked_at, self._looked_at + len(v), device=v.device) % v.shape[1]
            measures["pseudo_likelihood"] = log_pseudo_likelihood(machine, v, summed, units).sum()
            self._looked_at += len(v)
        if self.seen.some is not None and machine.hidden_units.closed_form:
            if self._usual is None:
                self._usual = machine.free_energy(self.seen.some).mean()
            measures["free_energy_gap"] = (machine.free_energy(v, summed) - self._usual).sum()
        return measures

    @torch.no_grad()
    def represent(self, x: Tensor) -> Tensor:
        """What the layer gives for x, (batch, hidden); of binary units p(h = 1 | x)."""
        return self.module.hidden_units.response(self.module.hidden_input(x.flatten(1)))

    def conclude(self, splits: Mapping[str, Examples], stopping: Event) -> dict[str, float]:
        """The log-likelihood, where the rule asks for it; see ``Likelihood.measure``."""
        if self.rule.likelihood is None:
            return {}
        draws = generator(self._seed, ANNEALING, device=self.seen.mean.device)
        return self.rule.likelihood.measure(self.module, self.seen.mean, splits, draws, stopping)

    def _steps(self, rows: int) -> int:
        """How many this update takes; counts its ``rows`` examples."""
        if isinstance(self.rule.steps, int):
            return self.rule.steps
        seen = self.module.get_buffer(SEEN)
        time = int(seen) / max(self.seen.count, 1)
        seen += rows
        return steps_at(self.rule.steps, time)

    def _fill(self, v: Tensor, h: Tensor, model_v: Tensor, model_h: Tensor) -> None:
        machine, units = self.module, self.module.visible_units
        heard, model_heard = units.natural(v), units.natural(model_v)
        data, model = Pairs(heard, h), Pairs(model_heard, model_h)
        machine.weight.grad = contrast(machine.weight, data, model, self.rule.weight_decay, self.rule.precision)
        machine.bias.grad = model_h.mean(0) - h.mean(0)
        machine.visible_bias.grad = model_v.mean(0) - v.mean(0)
        if machine.log_variance is not None and machine.learns_variance:
            machine.log_variance.grad = self._variance_force(model_v) - self._variance_force(v)
        if self.rule.sparsity:
            self.rule.sparsity.penalise(machine, heard, h)

    def _variance_force(self, v: Tensor) -> Tensor:
        """-dE/dlog_variance of gaussian visible units, mean over rows, (visible,)."""
        machine = self.module
        return machine.visible_units.natural((v.square() / 2 - v * machine.visible_bias).mean(0))


def _squared_error(reconstruction: Tensor, v: Tensor) -> Tensor:
    return F.mse_loss(reconstruction, v, reduction="sum")
