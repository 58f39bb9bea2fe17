"""The sparsity target of binary hidden units (Hinton 2010, section 11)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field

from nnpipe.spec import Part

if TYPE_CHECKING:
    from torch import Tensor

    from nnpipe.pretraining.boltzmann_machine import BoltzmannMachine

ACTIVITY = "activity"  # the buffer of a machine: how often each hidden unit was on, (hidden,)


class Sparsity(Part):
    """Hidden units are to be on as often as ``target`` says.

    The penalty is the cross-entropy between the target and a running mean of each unit's probability; its derivative by
    what the unit sums is the difference of the two, and moves the bias and the weights alike.
    """

    target: float = Field(0.1, gt=0, lt=1, description="How often a hidden unit is to be on.")
    cost: float = Field(0.1, ge=0, description="How strongly the difference from the target pulls.")
    decay: float = Field(0.9, ge=0, lt=1, description="Of the running mean, what stays with each batch.")

    def begin(self, machine: BoltzmannMachine) -> None:
        """Hidden biases, and the running mean, start at the target."""
        import torch

        means = torch.full_like(machine.bias, self.target)
        machine.register_buffer(ACTIVITY, means)
        with torch.no_grad():
            machine.bias.copy_(machine.hidden_units.first_bias(means))

    def penalise(self, machine: BoltzmannMachine, v: Tensor, h: Tensor) -> None:
        """Add the penalty's gradient to ``.grad``. v, h: (batch, units), what weights hear, and the hidden means."""
        activity = machine.get_buffer(ACTIVITY).lerp_(h.mean(0), 1 - self.decay)
        pull = self.cost * (activity - self.target)
        assert machine.bias.grad is not None
        assert machine.weight.grad is not None
        machine.bias.grad += pull
        machine.weight.grad.addr_(pull, v.mean(0))
