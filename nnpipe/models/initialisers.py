"""First weights: distributions whose spread depends on fan-in and fan-out, drawn from an explicit generator.

Fan-in is the number of inputs of one unit, fan-out the number of units that one input reaches (times the kernel's
area, for a convolution; of one in groups all filters count, as in Keras). Normal distributions are whole, where Keras
cuts them at two standard deviations.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import AfterValidator, Field, model_validator

from nnpipe.models.activations import RECTIFIERS, ActivationName
from nnpipe.spec import Part, Shorthand, problem

if TYPE_CHECKING:
    from torch import Generator, Tensor


ALIASES = {"xavier_uniform": "glorot_uniform", "xavier_normal": "glorot_normal"}  # PyTorch's names


class Initialiser(Part):
    """How a layer's weights are drawn, and its biases where a method has a say in them."""

    kind: str

    @abstractmethod
    def draw(self, weight: Tensor, bias: Tensor | None, generator: Generator, activation: ActivationName) -> None:
        """Fill ``weight``, (outputs, inputs, ...), in place, and ``bias``, (outputs,), if the method draws biases.

        activation: what the sums of these weights go through.
        """


class FanScaled(Initialiser):
    """Mean zero, and a variance that keeps activations or gradients of one size from layer to layer.

    glorot: variance 2 / (fan_in + fan_out). Glorot & Bengio 2010, section 4.2.1.
    he: variance 2 / fan_in, for rectified linear units. He et al. 2015, section 2.2.
    lecun: variance 1 / fan_in. LeCun, Bottou, Orr & Müller 1998, section 4.6.
    xavier is another word for glorot.
    """

    kind: Annotated[
        Literal[
            "glorot_uniform",
            "glorot_normal",
            "xavier_uniform",
            "xavier_normal",
            "he_uniform",
            "he_normal",
            "lecun_uniform",
            "lecun_normal",
        ],
        AfterValidator(lambda name: ALIASES.get(name, name)),
    ]

    def draw(self, weight: Tensor, bias: Tensor | None, generator: Generator, activation: ActivationName) -> None:
        from torch.nn import init

        match self.kind:
            case "glorot_uniform":
                init.xavier_uniform_(weight, generator=generator)
            case "glorot_normal":
                init.xavier_normal_(weight, generator=generator)
            case "he_uniform":
                init.kaiming_uniform_(weight, nonlinearity="relu", generator=generator)
            case "he_normal":
                init.kaiming_normal_(weight, nonlinearity="relu", generator=generator)
            case "lecun_uniform":
                init.kaiming_uniform_(weight, nonlinearity="linear", generator=generator)
            case "lecun_normal":
                init.kaiming_normal_(weight, nonlinearity="linear", generator=generator)


class Auto(Initialiser):
    """By the activation: ``he_normal`` for rectifiers (relu, leaky_relu, elu, gelu, softplus), else ``glorot_uniform``.

    Half of what a rectifier is given does not pass; he's variance makes up for it, and glorot's assumes that
    everything passes near zero, as in tanh. Each in the form of its own paper.
    """

    kind: Literal["auto"] = "auto"

    def draw(self, weight: Tensor, bias: Tensor | None, generator: Generator, activation: ActivationName) -> None:
        chosen = FanScaled(kind="he_normal" if activation in RECTIFIERS else "glorot_uniform")
        chosen.draw(weight, bias, generator, activation)


class Orthogonal(Initialiser):
    """Weights whose rows, or columns where they are fewer, are orthonormal. Saxe, McClelland & Ganguli 2014.

    Of a kernel, a row is one filter's weights.
    """

    kind: Literal["orthogonal"] = "orthogonal"

    def draw(self, weight: Tensor, bias: Tensor | None, generator: Generator, activation: ActivationName) -> None:
        from torch.nn import init

        init.orthogonal_(weight, generator=generator)


class NguyenWidrow(Initialiser):
    """Units that divide the inputs' range among them. Nguyen & Widrow 1990, section 3.

    Weights of a random direction and the length 0.7 outputs^(1 / inputs), biases uniform up to that length: each of
    the tanh units is steep in another part of inputs from -1 to 1. As sigmoid(x) = (1 + tanh(x / 2)) / 2, sigmoid
    units get twice as much of both.
    """

    activations: ClassVar[tuple[str, ...]] = ("tanh", "sigmoid")
    kind: Literal["nguyen_widrow"] = "nguyen_widrow"

    def draw(self, weight: Tensor, bias: Tensor | None, generator: Generator, activation: ActivationName) -> None:
        import torch

        inputs = weight[0].numel()
        length = 0.7 * len(weight) ** (1 / inputs) * (2 if activation == "sigmoid" else 1)
        with torch.no_grad():
            weight.uniform_(-1, 1, generator=generator)
            weight.mul_((length / weight.flatten(1).norm(dim=1)).view(-1, *[1] * (weight.ndim - 1)))
            if bias is not None:
                bias.uniform_(-length, length, generator=generator)


class Normal(Initialiser):
    """A normal distribution about zero."""

    kind: Literal["normal"] = "normal"
    deviation: float = Field(gt=0, description="Standard deviation.")

    def draw(self, weight: Tensor, bias: Tensor | None, generator: Generator, activation: ActivationName) -> None:
        from torch.nn import init

        init.normal_(weight, std=self.deviation, generator=generator)


class Uniform(Initialiser):
    """A uniform distribution from the first number of ``range`` to the second."""

    kind: Literal["uniform"] = "uniform"
    range: Annotated[tuple[float, float], Field(description="The smallest and the largest weight.")]

    @model_validator(mode="after")
    def _check_range(self) -> Uniform:
        low, high = self.range
        if low >= high:
            raise problem(
                "a range that is empty",
                path=("range",),
                expected="a smaller number, then a larger one",
                found=f"{low:g}, {high:g}",
            )
        return self

    def draw(self, weight: Tensor, bias: Tensor | None, generator: Generator, activation: ActivationName) -> None:
        from torch.nn import init

        init.uniform_(weight, *self.range, generator=generator)


class Zeros(Initialiser):
    """Zeros: for a last layer, or to see why weights that are all alike stay alike."""

    kind: Literal["zeros"] = "zeros"

    def draw(self, weight: Tensor, bias: Tensor | None, generator: Generator, activation: ActivationName) -> None:
        from torch.nn import init

        init.zeros_(weight)


AnyInitialiser = Annotated[
    Annotated[Auto | FanScaled | Orthogonal | NguyenWidrow | Normal | Uniform | Zeros, Field(discriminator="kind")],
    Shorthand(),
]
