"""The denoising autoencoder: encode a corrupted input, decode it, be compared with the input as it was.

Vincent, Larochelle, Lajoie, Bengio & Manzagol 2010, sections 3.3 and 4.1.
"""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from nnpipe.models.activations import activation_function
from nnpipe.models.layers.dense import Dense
from nnpipe.pretraining.autoencoder import Corruption, ReconstructionLoss
from nnpipe.pretraining.objective import SAMPLES, WEIGHTS, logit_bias
from nnpipe.training.seeds import generator


class TwoLayers(nn.Module):
    """An encoder and a decoder. weight: (hidden, visible), bias: (hidden,), visible_bias: (visible,).

    decoder_weight: (visible, hidden), as torch's Linear has it; absent where the decoder is ``weight`` transposed.
    """

    def __init__(self, layer: Dense, visible: int, tied: bool, weights: torch.Generator) -> None:
        super().__init__()
        encoder = cast(nn.Linear, layer.build((visible,), weights))
        self.weight, self.bias = encoder.weight, encoder.bias
        self.visible_bias = nn.Parameter(torch.zeros(visible))
        self.decoder_weight = None if tied else nn.Parameter(torch.empty(visible, layer.units))
        if self.decoder_weight is not None:
            layer.init.draw(self.decoder_weight, None, weights, layer.activation)
        self._activation = activation_function(layer.activation)

    def encode(self, x: Tensor) -> Tensor:
        """The hidden activations, (batch, hidden), of x: (batch, visible)."""
        return self._activation(F.linear(x, self.weight, self.bias))

    def decode(self, hidden: Tensor) -> Tensor:
        """What visible units sum, (batch, visible)."""
        weight = self.weight.T if self.decoder_weight is None else self.decoder_weight
        return F.linear(hidden, weight, self.visible_bias)


class Denoising:
    """A ``LayerObjective``; measures ``loss`` and ``reconstruction_error``.

    Both are summed over units, as in a Boltzmann machine, so that learning rates are of one order. Measured without
    learning, nothing is corrupted. reconstruction_error: squared; it is the loss itself for mean_squared_error.
    mean: (visible,), of the training examples: what the decoder gives at first, while hidden units say nothing.
    """

    def __init__(
        self,
        layer: Dense,
        mean: Tensor,
        seed: int,
        corruption: Corruption,
        level: float,
        tied: bool,
        loss: ReconstructionLoss,
    ) -> None:
        self.corruption, self.level, self.loss = corruption, level, loss
        self.module = TwoLayers(layer, len(mean), tied, generator(seed, WEIGHTS))
        with torch.no_grad():
            self.module.visible_bias.copy_(logit_bias(mean) if loss == "cross_entropy" else mean)
        self.module.to(mean.device)
        self._generator = generator(seed, SAMPLES, device=mean.device)
        self.generators = {"samples": self._generator}

    def gradient(self, x: Tensor, y: Tensor | None) -> dict[str, Tensor]:
        """Backpropagation of the batch's mean loss. x: (batch, ...); y is not looked at."""
        self.module.train()
        self.module.zero_grad()
        clean = x.flatten(1)
        loss, error = self._compare(self.corrupt(clean), clean)
        (loss / len(clean)).backward()  # type: ignore[no-untyped-call]
        return {"loss": loss.detach(), "reconstruction_error": error}

    @torch.no_grad()
    def measure(self, x: Tensor, y: Tensor | None) -> dict[str, Tensor]:
        self.module.eval()
        clean = x.flatten(1)
        loss, error = self._compare(clean, clean)
        return {"loss": loss, "reconstruction_error": error}

    @torch.no_grad()
    def represent(self, x: Tensor) -> Tensor:
        """The hidden activations of x as it is, (batch, hidden)."""
        return self.module.encode(x.flatten(1))

    def corrupt(self, x: Tensor) -> Tensor:
        """x with some values set to 0 (masking), to 0 or 1 (salt_and_pepper), or all shifted (gaussian)."""
        if self.level == 0:
            return x
        if self.corruption == "gaussian":
            return x + self.level * torch.randn(x.shape, generator=self._generator, device=x.device)
        draws = torch.rand(x.shape, generator=self._generator, device=x.device)
        if self.corruption == "masking":
            return x * (draws >= self.level)
        return x.masked_fill(draws < self.level, 0).masked_fill(draws < self.level / 2, 1)

    def _compare(self, seen: Tensor, clean: Tensor) -> tuple[Tensor, Tensor]:
        """Loss and squared error, summed over the batch."""
        decoded = self.module.decode(self.module.encode(seen))
        if self.loss == "mean_squared_error":
            error = F.mse_loss(decoded, clean, reduction="sum")
            return error, error.detach()
        with torch.no_grad():
            error = F.mse_loss(decoded.sigmoid(), clean, reduction="sum")
        return F.binary_cross_entropy_with_logits(decoded, clean, reduction="sum"), error
