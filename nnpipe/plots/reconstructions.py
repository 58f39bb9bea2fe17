"""Images, and what each pretrained layer keeps of them: encoded up to it, then decoded down the stack."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from nnpipe.plots.picture import Drawing, Picture, Pretrained, Section, Subject

if TYPE_CHECKING:
    import numpy as np
    from matplotlib.figure import Figure
    from torch import Tensor

    from nnpipe.models.layers.layer import Shape

POOLS = ("max_pool2d", "avg_pool2d", "global_max_pool2d", "global_average_pool2d")
SHAPES = ("flatten", "reshape")
NAMES = 0.65  # inches for the names of rows


class Reconstructions(Picture):
    """The first test images, and under them their reconstructions from every pretrained layer that has a way back.

    What a pool gave is spread over its window. There is no way back through an activation that is a layer of its own,
    nor through a layer that learnt by labels alone or gives classes: the picture ends below it.
    """

    kind: Literal["reconstructions"] = "reconstructions"
    needs: ClassVar[str] = "a pretrained first layer that can decode, and images of one or three channels"
    section: ClassVar[Section] = "pretraining"
    count: int = Field(5, ge=1, le=20, description="How many images to show at most.")

    def applies(self, subject: Subject) -> bool:
        return subject.image_shape is not None and len(subject.inputs) > 0 and bool(_with_a_way_back(subject))

    def draw(self, subject: Subject) -> Drawing:
        import numpy as np

        originals = subject.inputs[: self.count].astype(np.float64)
        rows = [originals, *_reconstructions(subject, originals)]
        low, high = subject.attributes.get("value_range") or (originals.min(), originals.max())
        shares = [(row - low) / ((high - low) or 1) for row in rows]
        errors = [float(np.sqrt(np.square(row - shares[0]).mean())) for row in shares[1:]]
        told = ", ".join(f"{error:.3f} from layer {number}" for number, error in enumerate(errors, start=1))
        return Drawing(
            title="Reconstructions",
            caption="Above, the first test images; below, what each pretrained layer keeps of them: encoded up to that "
            "layer and decoded down the stack again, before fine-tuning. "
            f"Root mean squared error of a value, of a range of 1: {told}.",
            alt=f"{len(originals)} test images over {len(errors)} rows of their reconstructions. Errors: {told}.",
            figure=_draw_rows(shares),
        )


def _with_a_way_back(subject: Subject) -> Sequence[Pretrained]:
    """The pretrained layers from the first, up to one that cannot be decoded."""
    found: list[Pretrained] = []
    for each in subject.pretrained:
        between = each.document.get("between", ())
        learnt = each.tensors.keys()
        if (
            "visible_bias" not in learnt
            or "label_weight" in learnt
            or any(layer["kind"] not in (*POOLS, *SHAPES) for layer in between)
        ):
            break
        found.append(each)
    return found


def _reconstructions(subject: Subject, images: np.ndarray) -> list[np.ndarray]:
    """Of each layer with a way back: images (n, channels, height, width) in the data's units, float64."""
    import torch

    from nnpipe.models.scaling import Scaling

    scaling = Scaling.model_validate(subject.document["scaling"])
    x = torch.from_numpy(scaling.apply(images))
    steps: list[_Step] = []
    found = []
    with torch.no_grad():
        for each in _with_a_way_back(subject):
            steps.append(_Step(each, tuple(x.shape[1:])))
            x = back = steps[-1].up(x)
            for step in reversed(steps):
                back = step.down(back)
            found.append(back.double().numpy() * scaling.scale + scaling.offset)
    return found


class _Step:
    """A pretrained layer and the layers between it and the one below, which leaves examples of ``shape``."""

    def __init__(self, pretrained: Pretrained, shape: Shape) -> None:
        import torch

        from nnpipe.models.activations import activation_function
        from nnpipe.models.architecture import Model
        from nnpipe.models.encoder_decoder import encoder_decoder
        from nnpipe.models.layers.conv2d import Conv2d
        from nnpipe.models.layers.dense import Dense

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
        import torch

        for layer, shape in zip(self._between, self._shapes, strict=False):
            x = layer.build(shape, torch.Generator())(x)
        return self._module.encode(x.reshape(len(x), *self._module.shape))

    def down(self, hidden: Tensor) -> Tensor:
        """What hidden activations decode to, (batch, *shape)."""
        from torch.nn import functional as F

        x = self._module.decode(hidden)
        if self._variance is not None:  # weights multiply values as they are, and what comes back its variance too
            x = self._module.visible_bias + self._variance * (x - self._module.visible_bias)
        x = self._visible_activation(x).reshape(len(x), *self._shapes[-1])
        for layer, shape in zip(reversed(self._between), self._shapes[-2::-1], strict=True):
            if layer.kind in POOLS:
                x = F.interpolate(x.reshape(*x.shape[:2], *(x.shape[2:] or (1, 1))), size=shape[1:])
            x = x.reshape(len(x), *shape)
        return x


def _draw_rows(rows: Sequence[np.ndarray]) -> Figure:
    """Rows of images, (n, channels, height, width) from 0 to 1, each under the one before and with its name."""
    import numpy as np

    from nnpipe.plots.mosaic import FRAME_GREY, assemble
    from nnpipe.plots.style import INK, WIDTH, bare, new_figure

    tiles = np.concatenate(rows).clip(0, 1)
    coloured = tiles.shape[1] == 3
    grid = assemble(tiles.transpose(0, 2, 3, 1) if coloured else 1 - tiles[:, 0], len(rows[0]), gap=1.0)
    height = (WIDTH - NAMES) * grid.shape[0] / grid.shape[1]
    figure = new_figure(height, layout=None)
    axes = figure.add_axes((NAMES / WIDTH, 0, 1 - NAMES / WIDTH, 1))
    bare(axes)
    shown = np.where(np.isnan(grid), FRAME_GREY, grid)
    axes.imshow(shown, cmap="gray", vmin=0, vmax=1, interpolation="nearest", aspect="auto")
    for row in range(len(rows)):
        name = f"layer {row}" if row else "images"
        figure.text(0.08 / WIDTH, 1 - (row + 0.5) / len(rows), name, va="center", fontsize=9, color=INK)
    return figure
