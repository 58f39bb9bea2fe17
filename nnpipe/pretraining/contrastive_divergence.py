"""Contrastive divergence, from the data or with persistent chains: the gradient that teaches a Boltzmann machine.

It is the negative of an estimate of the log-likelihood's gradient, mean over the batch, so that a learning rate here
is the learning rate of Hinton's guide (2010).
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from nnpipe.pretraining.boltzmann_machine import BoltzmannMachine
from nnpipe.pretraining.objective import SAMPLES, WEIGHTS, logit_bias
from nnpipe.training.seeds import generator

FIRST_WEIGHTS = 0.01  # standard deviation; Hinton 2010, section 8


class ContrastiveDivergence:
    """A ``LayerObjective``; measures ``reconstruction_error`` and ``free_energy``.

    mean: (visible,), of the training examples. Values between 0 and 1 are probabilities of being on.
    steps: of Gibbs sampling between two updates. One step from the data reconstructs with probabilities, which is
        quieter (Hinton 2010, section 3.2); more steps, and persistent chains, sample both sides, which makes them
        Gibbs chains of the model. The hidden units of the last step are probabilities always (section 3.3).
    chains: how many persist (Tieleman 2008); 0: each update starts at its examples.

    reconstruction_error: squared, summed over units; from sampled hidden units where a chain starts at the data, from
    their probabilities otherwise. free_energy: tells of overfitting where the one of validation examples rises away
    from the one of training examples; by itself, without the partition function, nothing (Hinton 2010, section 6).
    """

    def __init__(
        self, mean: Tensor, hidden: int, seed: int, steps: int = 1, weight_decay: float = 0.0, chains: int = 0
    ) -> None:
        self.module = BoltzmannMachine(len(mean), hidden)
        self.steps, self.weight_decay, self.persistent = steps, weight_decay, chains > 0
        weights = generator(seed, WEIGHTS)
        with torch.no_grad():
            self.module.weight.normal_(0, FIRST_WEIGHTS, generator=weights)
            self.module.visible_bias.copy_(logit_bias(mean))
        if self.persistent:  # a buffer, so that checkpoints have it
            states = torch.rand(chains, hidden, generator=weights).lt_(0.5)
            self.module.register_buffer("chains", states)
        self.module.to(mean.device)
        self._generator = generator(seed, SAMPLES, device=mean.device)
        self.generators = {"samples": self._generator}

    @torch.no_grad()
    def gradient(self, x: Tensor, y: Tensor | None) -> dict[str, Tensor]:
        """Fill ``.grad`` of the machine. x: (batch, ...) from 0 to 1; y is not looked at."""
        machine, v = self.module, x.flatten(1)
        summed = machine.hidden_input(v)
        h = summed.sigmoid()
        reconstruction = machine.visible_probabilities(h if self.persistent else self._sample(h))
        model_v, model_h = self._persist() if self.persistent else self._go_on(reconstruction)
        self._fill(v, h, model_v, model_h)
        return self._measures(v, summed, reconstruction)

    @torch.no_grad()
    def measure(self, x: Tensor, y: Tensor | None) -> dict[str, Tensor]:
        """The same measures, nothing sampled: reconstructions are made from hidden probabilities."""
        v = x.flatten(1)
        summed = self.module.hidden_input(v)
        return self._measures(v, summed, self.module.visible_probabilities(summed.sigmoid()))

    @torch.no_grad()
    def represent(self, x: Tensor) -> Tensor:
        """p(h = 1 | x), (batch, hidden)."""
        return self.module.hidden_probabilities(x.flatten(1))

    def _go_on(self, reconstruction: Tensor) -> tuple[Tensor, Tensor]:
        """The rest of ``steps`` from the first one's visible probabilities: visible states, hidden probabilities."""
        machine = self.module
        if self.steps == 1:
            return reconstruction, machine.hidden_probabilities(reconstruction)
        v = self._sample(reconstruction)
        for _ in range(self.steps - 1):
            h = self._sample(machine.hidden_probabilities(v))
            v = self._sample(machine.visible_probabilities(h))
        return v, machine.hidden_probabilities(v)

    def _persist(self) -> tuple[Tensor, Tensor]:
        """``steps`` of the persistent chains, which are kept as hidden states: visible states, hidden probabilities."""
        machine, chains = self.module, self.module.get_buffer("chains")
        for _ in range(self.steps):
            v = self._sample(machine.visible_probabilities(chains))
            h = machine.hidden_probabilities(v)
            chains.copy_(self._sample(h))
        return v, h

    def _sample(self, probabilities: Tensor) -> Tensor:
        device = probabilities.device
        return torch.rand(probabilities.shape, generator=self._generator, device=device).lt_(probabilities)

    def _fill(self, v: Tensor, h: Tensor, model_v: Tensor, model_h: Tensor) -> None:
        machine = self.module
        gradient = torch.addmm(machine.weight, h.T, v, beta=self.weight_decay, alpha=-1 / len(v))
        machine.weight.grad = gradient.addmm_(model_h.T, model_v, alpha=1 / len(model_v))
        machine.bias.grad = model_h.mean(0) - h.mean(0)
        machine.visible_bias.grad = model_v.mean(0) - v.mean(0)

    def _measures(self, v: Tensor, summed: Tensor, reconstruction: Tensor) -> dict[str, Tensor]:
        return {
            "reconstruction_error": F.mse_loss(reconstruction, v, reduction="sum"),
            "free_energy": self.module.free_energy(v, summed).sum(),
        }
