"""First weights: distributions whose spread depends on fan-in and fan-out, drawn from an explicit generator.

Fan-in is the number of inputs of one unit, fan-out the number of units that one input reaches (times the kernel's
area, for a convolution). Normal distributions are whole, where Keras cuts them at two standard deviations.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from torch import Generator, Tensor

Initialiser = Literal["glorot_uniform", "glorot_normal", "he_uniform", "he_normal", "lecun_normal", "zeros"]


def initialise(name: Initialiser, weight: Tensor, generator: Generator) -> None:
    """Fill ``weight``, (outputs, inputs, ...), in place.

    glorot: variance 2 / (fan_in + fan_out). Glorot & Bengio 2010, section 4.2.1.
    he: variance 2 / fan_in, for rectified linear units. He et al. 2015, section 2.2.
    lecun: variance 1 / fan_in. LeCun, Bottou, Orr & Müller 1998, section 4.6.
    """
    from torch.nn import init

    match name:
        case "glorot_uniform":
            init.xavier_uniform_(weight, generator=generator)
        case "glorot_normal":
            init.xavier_normal_(weight, generator=generator)
        case "he_uniform":
            init.kaiming_uniform_(weight, nonlinearity="relu", generator=generator)
        case "he_normal":
            init.kaiming_normal_(weight, nonlinearity="relu", generator=generator)
        case "lecun_normal":
            init.kaiming_normal_(weight, nonlinearity="linear", generator=generator)
        case "zeros":
            init.zeros_(weight)
