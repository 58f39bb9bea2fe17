"""A layer with a way back: the layer encodes what it sees, a decoder leads its activations there again."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from math import prod
from typing import cast

import torch
from torch import Generator, Tensor, nn
from torch.nn import functional as F

from nnpipe.models.activations import activation_function
from nnpipe.models.layers.conv2d import Conv2d
from nnpipe.models.layers.dense import Dense
from nnpipe.models.layers.layer import Shape


@dataclass(frozen=True)
class Passage:
    """What came of ``seen`` on the way through: what hidden units sum, what they are, and what visible units sum."""

    seen: Tensor
    sums: Tensor
    hidden: Tensor
    decoded: Tensor


class EncoderDecoder(nn.Module, ABC):
    """An encoder, ``layer``, and a decoder, for examples of ``shape``; first weights drawn from ``generator``.

    weight, bias: the layer's. visible_bias: (features,), or (channels,) of images; starts at zero.
    decoder_weight: absent where the decoder is ``weight``, transposed. x is (batch, *shape).
    """

    def __init__(self, layer: Dense | Conv2d, shape: Shape, *, tied: bool, generator: Generator) -> None:
        super().__init__()
        self.shape = shape
        self.activation = activation_function(layer.activation)
        encoder = cast(nn.Linear | nn.Conv2d, layer.build(shape, generator))
        assert encoder.bias is not None
        self.weight, self.bias = encoder.weight, encoder.bias
        self.visible_bias = nn.Parameter(torch.zeros(shape[0]))
        self.decoder_weight = None
        if not tied:  # drawn as (outputs, inputs, ...), which the decoder's are the other way round
            drawn = torch.empty(self.weight.transpose(0, 1).shape)
            layer.init.draw(drawn, None, generator, layer.activation)
            self.decoder_weight = nn.Parameter(self._as_decoder(drawn))

    def encode(self, x: Tensor) -> Tensor:
        """Hidden activations: (batch, hidden), or (batch, filters, rows, columns)."""
        return self.activation(self.sums(x))

    @abstractmethod
    def sums(self, x: Tensor) -> Tensor:
        """What hidden units sum, before their activation."""

    @abstractmethod
    def decode(self, hidden: Tensor) -> Tensor:
        """What visible units sum, (batch, *shape)."""

    def there_and_back(self, x: Tensor) -> Passage:
        """x encoded and decoded."""
        sums = self.sums(x).to(x.dtype)
        hidden = self.activation(sums)
        return Passage(x, sums, hidden, self.decode(hidden).to(x.dtype))

    @abstractmethod
    def squared_weights(self) -> Tensor:
        """The sum of squares of the weights by which each hidden unit reads values: the shape of ``sums`` of one."""

    @abstractmethod
    def _as_decoder(self, drawn: Tensor) -> Tensor:
        """``drawn``, (inputs of the encoder, outputs, ...), in the layout of ``decoder_weight``."""


class DenseEncoderDecoder(EncoderDecoder):
    """weight: (hidden, visible); decoder_weight: (visible, hidden), as torch's Linear has it."""

    def sums(self, x: Tensor) -> Tensor:
        return F.linear(x, self.weight, self.bias)

    def decode(self, hidden: Tensor) -> Tensor:
        weight = self.weight.T if self.decoder_weight is None else self.decoder_weight
        return F.linear(hidden, weight, self.visible_bias)

    def squared_weights(self) -> Tensor:
        return self.weight.square().sum(1)

    def there_and_back_by(self, weight: Tensor, x: Tensor) -> Passage:
        """``there_and_back`` by a tied ``weight`` that autograd need not know: see ``tied_gradient``."""
        sums = F.linear(x, weight, self.bias).to(x.dtype)
        hidden = self.activation(sums)
        return Passage(x, sums, hidden, F.linear(hidden, weight.T, self.visible_bias).to(x.dtype))

    def _as_decoder(self, drawn: Tensor) -> Tensor:
        return drawn


def tied_gradient(passage: Passage) -> Tensor:
    """The gradient of the tied weight of a ``passage`` whose ``sums`` and ``decoded`` retain theirs.

    The weight is used twice. The sum of two products of (hidden, batch) and (batch, visible) is one product of twice as
    many rows: less to write and to read again than two, where the batch is small beside the weight.
    """
    sums, decoded = passage.sums.grad, passage.decoded.grad
    assert sums is not None
    assert decoded is not None
    return torch.cat([sums, passage.hidden.detach()]).T @ torch.cat([passage.seen, decoded])


class ConvolutionalEncoderDecoder(EncoderDecoder):
    """The decoder is the transposed convolution: each hidden unit adds its kernel to the place that it read.

    Masci, Meier, Cireșan & Schmidhuber 2011, section 3. weight, decoder_weight: (filters, channels / groups, height,
    width) of the kernel. Rows and columns that fill no whole stride are given the visible bias alone.
    """

    def __init__(self, layer: Conv2d, shape: Shape, *, tied: bool, generator: Generator) -> None:
        super().__init__(layer, shape, tied=tied, generator=generator)
        self._stride, self._padding = layer.stride, layer.zeros
        self._dilation, self._groups = layer.dilation, layer.groups
        self._left_out = [
            (size + 2 * zeros - reach) % step
            for size, zeros, reach, step in zip(shape[1:], layer.zeros, layer.reach, layer.stride, strict=True)
        ]

    def sums(self, x: Tensor) -> Tensor:
        return self._convolved(x, self.weight, self.bias)

    def decode(self, hidden: Tensor) -> Tensor:
        weight = self.weight if self.decoder_weight is None else self.decoder_weight
        return F.conv_transpose2d(
            hidden,
            weight,
            self.visible_bias,
            stride=self._stride,
            padding=self._padding,
            output_padding=self._left_out,
            groups=self._groups,
            dilation=self._dilation,
        )

    def squared_weights(self) -> Tensor:
        # Of a kernel that stands over the border, only the weights inside the image read anything.
        return self._convolved(self.weight.new_ones(1, *self.shape), self.weight.square(), None)[0]

    def _convolved(self, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        return F.conv2d(x, weight, bias, self._stride, self._padding, self._dilation, self._groups)

    def _as_decoder(self, drawn: Tensor) -> Tensor:
        return drawn.transpose(0, 1).contiguous()


def encoder_decoder(layer: Dense | Conv2d, shape: Shape, *, tied: bool, generator: Generator) -> EncoderDecoder:
    """``layer`` and its way back. shape: of one example; a dense layer sees images as vectors."""
    if isinstance(layer, Conv2d):
        return ConvolutionalEncoderDecoder(layer, shape, tied=tied, generator=generator)
    return DenseEncoderDecoder(layer, (prod(shape),), tied=tied, generator=generator)
