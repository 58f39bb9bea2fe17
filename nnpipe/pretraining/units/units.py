"""What every kind of units of a Boltzmann machine offers: all that energies, conditionals and sampling ask of it.

The units of a side are an exponential family (Welling, Rosen-Zvi & Hinton 2005): given what they sum, x, which is their
bias in natural form and the other side's states times the weights, p(s | x) = base(s) exp(s.x - log_partition(x)).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import ClassVar

import torch
from torch import Tensor


class Units(ABC):
    """One side of a machine. x, what its units sum, and their states are (batch, units).

    closed_form: whether the states can be summed out, so that there is a ``log_partition``, and a free energy.
    """

    closed_form: ClassVar[bool]

    @abstractmethod
    def mean(self, x: Tensor) -> Tensor:
        """The expectation of the states; of binary units, the probabilities of being on."""

    @abstractmethod
    def response(self, x: Tensor) -> Tensor:
        """What a layer of a network gives whose activation goes with such units: the mean, or nearly."""

    @abstractmethod
    def sample(self, x: Tensor, generator: torch.Generator, mean: Tensor | None = None) -> Tensor:
        """States drawn independently for each row. mean: of x, where it is known already."""

    @abstractmethod
    def log_partition(self, x: Tensor) -> Tensor:
        """log of the sum, or integral, of base(s) exp(s.x) over all states of a side, (batch,)."""

    @abstractmethod
    def log_base(self, states: Tensor) -> Tensor | float:
        """log base(s): what states weigh by themselves, (batch,); 0 where all weigh the same."""

    @abstractmethod
    def natural(self, bias: Tensor) -> Tensor:
        """A bias as a part of what units sum, or states divided by their variance, if they have one."""

    @abstractmethod
    def first_bias(self, mean: Tensor) -> Tensor:
        """The bias, (units,), from which units that hear nothing of the other side have these means."""

    @abstractmethod
    def states(self, units: int) -> int | None:
        """How many states a side of so many units has; None: they cannot be counted."""

    @abstractmethod
    def enumerate(self, units: int, device: torch.device) -> Iterator[Tensor]:
        """All states, some thousands of rows at a time, float64."""
