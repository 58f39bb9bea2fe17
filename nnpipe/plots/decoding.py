"""Pretrained layers as steps up from the data and down again, and rows of images that came down."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from matplotlib.figure import Figure
from torch import Tensor
from torch.nn import functional as F

from nnpipe.models.activations import activation_function
from nnpipe.models.architecture import Model
from nnpipe.models.encoder_decoder import encoder_decoder
from nnpipe.models.layers.conv2d import Conv2d
from nnpipe.models.layers.dense import Dense
from nnpipe.models.layers.layer import Shape
from nnpipe.plots.mosaic import FRAME_GREY, assemble
from nnpipe.plots.picture import Pretrained
from nnpipe.plots.style import INK, WIDTH, bare, new_figure
from nnpipe.plots.way_back import POOLS


class Step:
    """A pretrained layer and the layers between it and the one below, which leaves examples of ``shape``."""

    def __init__(self, pretrained: Pretrained, shape: Shape) -> None:
        document, tensors = pretrained.document, pretrained.tensors
        *self._between, layer = Model.model_validate({"layers": [*document["between"], document["layer"]]}).layers
        self._shapes = [shape]
        for each in self._between:
            self._shapes.append(each.output_shape(self._shapes[-1]))
        assert isinstance(layer, Dense | Conv2d)
        draws, tied = torch.Generator(), "decoder_weight" not in tensors
        self._module = encoder_decoder(layer, tuple(document["visible"]), tied=tied, generator=draws)
        self._module.load_state_dict({name: torch.tensor(tensor) for name, tensor in tensors.items()}, strict=False)
        self._visible_activation = activation_function(document["visible_activation"])
        self._variance = torch.tensor(tensors["log_variance"]).exp() if "log_variance" in tensors else None

    def up(self, x: Tensor) -> Tensor:
        """What the layer makes of x, (batch, *shape)."""
        return self.encode(self.seen(x))

    def seen(self, x: Tensor) -> Tensor:
        """What of x, (batch, *shape), reaches the layer itself."""
        for layer, shape in zip(self._between, self._shapes, strict=False):
            x = layer.build(shape, torch.Generator())(x)
        return x.reshape(len(x), *self._module.shape)

    def encode(self, seen: Tensor) -> Tensor:
        """What the layer makes of what reaches it."""
        return self._module.encode(seen)

    def down(self, hidden: Tensor) -> Tensor:
        """What hidden activations decode to, (batch, *shape)."""
        return self.unseen(self.decode(hidden))

    def decode(self, hidden: Tensor) -> Tensor:
        """What the layer expects to reach it, of hidden activations."""
        x = self._module.decode(hidden)
        if self._variance is not None:  # weights multiply values as they are, and what comes back its variance too
            x = self._module.visible_bias + self._variance * (x - self._module.visible_bias)
        return self._visible_activation(x)

    def unseen(self, x: Tensor) -> Tensor:
        """What reaches the layer, led back through the layers between, (batch, *shape)."""
        x = x.reshape(len(x), *self._shapes[-1])
        for layer, shape in zip(reversed(self._between), self._shapes[-2::-1], strict=True):
            if layer.kind in POOLS:
                x = F.interpolate(x.reshape(*x.shape[:2], *(x.shape[2:] or (1, 1))), size=shape[1:])
            x = x.reshape(len(x), *shape)
        return x


def draw_rows(rows: Sequence[np.ndarray], names: Sequence[str]) -> Figure:
    """Rows of images, (n, channels, height, width) from 0 to 1, each under the one before and with its name."""
    tiles = np.concatenate(rows).clip(0, 1)
    coloured = tiles.shape[1] == 3
    grid = assemble(tiles.transpose(0, 2, 3, 1) if coloured else 1 - tiles[:, 0], len(rows[0]), gap=1.0)
    left = 0.2 + 0.075 * max(map(len, names))  # inches for the names
    height = (WIDTH - left) * grid.shape[0] / grid.shape[1]
    figure = new_figure(height, layout=None)
    axes = figure.add_axes((left / WIDTH, 0, 1 - left / WIDTH, 1))
    bare(axes)
    shown = np.where(np.isnan(grid), FRAME_GREY, grid)
    axes.imshow(shown, cmap="gray", vmin=0, vmax=1, interpolation="nearest", aspect="auto")
    for row, name in enumerate(names):
        figure.text(0.08 / WIDTH, 1 - (row + 0.5) / len(rows), name, va="center", fontsize=9, color=INK)
    return figure
