"""The log-likelihood of a Boltzmann machine that has learned: exact where it can be, sampled elsewhere."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from pydantic import Field

from nnpipe.spec import Part

if TYPE_CHECKING:
    from threading import Event

    from torch import Generator, Tensor

    from nnpipe.pretraining.boltzmann_machine import BoltzmannMachine
    from nnpipe.training.examples import Examples

BLOCK = 1000  # examples at a time


class Likelihood(Part):
    """By enumeration where a side has at most 20 units, by annealed importance sampling elsewhere."""

    runs: int = Field(100, ge=2, description="Of annealed importance sampling; their spread is the standard error.")
    temperatures: int = Field(
        1000, ge=1, description="Distributions between independent units and the machine; the literature has 14500."
    )

    def measure(
        self,
        machine: BoltzmannMachine,
        mean: Tensor,
        splits: Mapping[str, Examples],
        generator: Generator,
        stopping: Event,
    ) -> dict[str, float]:
        """``log_partition``, its standard error where it is sampled, and the mean log-probability of each split.

        In nats an example; of gaussian units a density. Values between 0 and 1 of binary units count as they are.
        mean: (visible,), of the training examples.

        Raises:
            Interrupted: ``stopping`` was set.
        """
        import torch

        from nnpipe.pretraining.annealed_importance import estimate_log_partition

        with torch.no_grad():
            if machine.enumerable:
                found = {"log_partition": machine.log_partition().item()}
            else:
                estimate = estimate_log_partition(
                    machine,
                    mean,
                    runs=self.runs,
                    temperatures=self.temperatures,
                    generator=generator,
                    stopping=stopping,
                )
                found = {
                    "log_partition": estimate.log_partition,
                    "log_partition_standard_error": estimate.standard_error,
                    "effective_runs": estimate.effective_runs,
                }
            for split, examples in splits.items():
                found[f"{split}_log_likelihood"] = -_free_energy(machine, examples) - found["log_partition"]
        return found


def _free_energy(machine: BoltzmannMachine, examples: Examples) -> float:
    """The mean over examples, summed in float64."""
    blocks = examples.in_order(BLOCK)
    return sum(machine.free_energy(x.flatten(1)).double().sum().item() for x, _ in blocks) / len(examples)
