"""The denoising autoencoder: encode a corrupted input, decode it, be compared with the input as it was.

Vincent, Larochelle, Lajoie, Bengio & Manzagol 2010, sections 3.3, 4.1 and 4.2.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn import functional as F

from nnpipe.models.corruption import corrupt
from nnpipe.models.encoder_decoder import DenseEncoderDecoder, Passage, encoder_decoder, tied_gradient
from nnpipe.models.layers.conv2d import Conv2d
from nnpipe.models.layers.dense import Dense
from nnpipe.pretraining.contraction import squared_jacobian
from nnpipe.pretraining.objective import SAMPLES, WEIGHTS, Visible, logit_bias
from nnpipe.training.precision import Precision, products_in
from nnpipe.training.seeds import generator

if TYPE_CHECKING:
    from nnpipe.pretraining.autoencoder import Autoencoder


class Denoising:
    """A ``LayerObjective``; measures ``loss`` and ``reconstruction_error``.

    Both are summed over values, as in a Boltzmann machine, so that learning rates are of one order. loss: what is made
    small, emphasis and penalties included. reconstruction_error: squared, every value counting 1; without emphasis and
    penalties it is the loss itself for mean_squared_error. Measured without learning, nothing is corrupted and every
    value counts 1.
    visible.mean: what the decoder gives at first, while hidden units say nothing; of images, by channel.
    precision: of the encoder's and decoder's products in a learning step; losses, and what is measured, are float32.
    """

    def __init__(
        self,
        method: Autoencoder,
        layer: Dense | Conv2d,
        visible: Visible,
        seed: int,
        precision: Precision = "float32",
    ) -> None:
        self.method, self._activation = method, layer.activation
        self.precision: Precision = precision
        mean = visible.mean
        self.module = encoder_decoder(layer, visible.shape, tied=method.tied, generator=generator(seed, WEIGHTS))
        # A contraction looks at the weights by themselves.
        self._tied_products = method.tied and not method.contraction and isinstance(layer, Dense)
        if isinstance(layer, Conv2d):
            mean = mean.view(visible.shape).mean((1, 2))
        with torch.no_grad():
            self.module.visible_bias.copy_(logit_bias(mean) if method.loss == "cross_entropy" else mean)
        self.module.to(mean.device)
        self._generator = generator(seed, SAMPLES, device=mean.device)
        self.generators = {"samples": self._generator}

    def gradient(self, x: Tensor, y: Tensor | None) -> dict[str, Tensor]:
        """Backpropagation of the batch's mean loss. x: (batch, ...); y is not looked at."""
        self.module.train()
        self.module.zero_grad()
        clean = self._shaped(x)
        seen, corrupted = self.corrupt(clean)
        passage = self._learning_passage(seen)
        loss, error = self._compare(passage, clean, self._counts(corrupted, clean))
        (loss / len(clean)).backward()  # type: ignore[no-untyped-call]
        if passage.sums.retains_grad:
            with products_in(self.precision, x.device.type):
                self.module.weight.grad = tied_gradient(passage).to(self.module.weight.dtype)
        return {"loss": loss.detach(), "reconstruction_error": error}

    @torch.no_grad()
    def measure(self, x: Tensor, y: Tensor | None) -> dict[str, Tensor]:
        self.module.eval()
        clean = self._shaped(x)
        loss, error = self._compare(self.module.there_and_back(clean), clean)
        return {"loss": loss, "reconstruction_error": error}

    @torch.no_grad()
    def represent(self, x: Tensor) -> Tensor:
        """The hidden activations of x as it is: (batch, hidden), or (batch, filters, rows, columns)."""
        return self.module.encode(self._shaped(x))

    def corrupt(self, x: Tensor) -> tuple[Tensor, Tensor | None]:
        """x as the encoder sees it, and which values were chosen; None where all or none were."""
        return corrupt(x, self.method.corruption, self.method.level, self._generator)

    def _shaped(self, x: Tensor) -> Tensor:
        return x.reshape(len(x), *self.module.shape)

    def _counts(self, corrupted: Tensor | None, clean: Tensor) -> Tensor | None:
        """What each value counts in the loss; None: 1."""
        emphasis = self.method.emphasis
        if emphasis is None or corrupted is None:
            return None
        return torch.where(corrupted, emphasis.corrupted, emphasis.uncorrupted).to(clean.dtype)

    def _learning_passage(self, seen: Tensor) -> Passage:
        """Through the layer and back in ``precision``; what ``tied_gradient`` needs is retained where it is of use."""
        module = self.module
        with products_in(self.precision, seen.device.type):
            if not self._tied_products:
                return module.there_and_back(seen)
            assert isinstance(module, DenseEncoderDecoder)
            weight = module.weight.detach()  # in its precision once, for the way there and the way back
            passage = module.there_and_back_by(weight.bfloat16() if self.precision == "bfloat16" else weight, seen)
        passage.sums.retain_grad()
        passage.decoded.retain_grad()
        return passage

    def _compare(self, passage: Passage, clean: Tensor, counts: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Loss and squared error, summed over the batch."""
        method, decoded = self.method, passage.decoded
        if method.loss == "mean_squared_error":
            squares = F.mse_loss(decoded, clean, reduction="none" if counts is not None else "sum")
            error = squares.detach().sum()
            loss = squares if counts is None else (counts * squares).sum()
        else:
            with torch.no_grad():
                error = F.mse_loss(decoded.sigmoid(), clean, reduction="sum")
            loss = F.binary_cross_entropy_with_logits(decoded, clean, counts, reduction="sum")
        if method.sparsity:
            loss = loss + method.sparsity.cost(passage.hidden)
        if method.contraction:
            jacobian = squared_jacobian(self.module, self._activation, passage.sums, passage.hidden)
            loss = loss + method.contraction * jacobian
        return loss, error
