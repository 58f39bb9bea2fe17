"""Images corrupted as a denoising autoencoder learnt to repair them, and what it makes of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal, NamedTuple

from pydantic import Field

from nnpipe.plots.picture import Drawing, Picture, Pretrained, Section, Subject
from nnpipe.plots.way_back import with_a_way_back

if TYPE_CHECKING:
    import numpy as np


class Repair(NamedTuple):
    """Of one layer: images as they are after its corruption, and after its repair, (n, channels, height, width)."""

    number: int
    corrupted: np.ndarray
    repaired: np.ndarray


class Repairs(Picture):
    """Test images, and for each denoising layer the images corrupted by its own method and repaired by it.

    What a layer above the first sees is corrupted where the method corrupts it, in the activations of the layer below,
    and shown as what that decodes to.
    """

    kind: Literal["repairs"] = "repairs"
    needs: ClassVar[str] = "a layer pretrained as a denoising autoencoder, and images of one or three channels"
    section: ClassVar[Section] = "pretraining"
    count: int = Field(5, ge=1, le=20, description="How many images to show at most.")
    seed: int = Field(0, ge=0, description="Of the corruption.")

    def applies(self, subject: Subject) -> bool:
        denoising = any(map(_corrupts, with_a_way_back(subject)))
        return denoising and subject.image_shape is not None and len(subject.inputs) > 0

    def draw(self, subject: Subject) -> Drawing:
        import numpy as np

        from nnpipe.plots.decoding import draw_rows

        originals = subject.inputs[: self.count].astype(np.float64)
        repairs = _repairs(subject, originals, self.seed)
        low, high = subject.attributes.get("value_range") or (originals.min(), originals.max())
        rows, names, told = [originals], ["images"], []
        for each in repairs:
            rows += [each.corrupted, each.repaired]
            names += [f"corrupted {each.number}", f"repaired {each.number}"]
            errors = (_distance(images, originals) / ((high - low) or 1) for images in (each.corrupted, each.repaired))
            told.append(f"layer {each.number} " + " to ".join(f"{error:.3f}" for error in errors))
        seen = f"Root mean squared error of a value, of a range of 1, from corrupted to repaired: {', '.join(told)}."
        return Drawing(
            title="Corrupted and repaired",
            caption="Above, the first test images; below, for each denoising layer by its number, what it was given to "
            f"learn from and what it made of it, before fine-tuning: {_corruptions(subject)}. Layers above the first "
            "see activations corrupted; shown is what these decode to. A layer that repairs has learnt how the images "
            f"hang together. {seen}",
            alt=f"{len(originals)} test images over {len(rows) - 1} rows, corrupted and repaired in turn. {seen}",
            figure=draw_rows([(row - low) / ((high - low) or 1) for row in rows], names),
        )


def _corrupts(layer: Pretrained) -> bool:
    method = layer.document.get("method", {})
    return bool(method.get("kind") == "autoencoder" and method["level"] > 0)


def _corruptions(subject: Subject) -> str:
    """What is done to what each layer sees, in words."""
    told = []
    for number, layer in enumerate(with_a_way_back(subject), start=1):
        if _corrupts(layer):
            method = layer.document["method"]
            share = f"{method['level']:.0%} of the values"
            how = {
                "masking": f"{share} set to 0",
                "salt_and_pepper": f"{share} set to 0 or 1",
                "gaussian": f"noise of deviation {method['level']:g} added",
            }
            told.append(f"layer {number}, {how[method['corruption']]}")
    return "; ".join(told)


def _repairs(subject: Subject, images: np.ndarray, seed: int) -> list[Repair]:
    """Of each denoising layer with a way back, in the data's units, float64."""
    import torch

    from nnpipe.models.corruption import corrupt
    from nnpipe.models.scaling import Scaling
    from nnpipe.plots.decoding import Step
    from nnpipe.training.seeds import generator

    scaling = Scaling.model_validate(subject.document["scaling"])
    steps: list[Step] = []
    found = []

    def as_images(x: torch.Tensor) -> np.ndarray:
        """What reaches the last of the steps, led down to the data."""
        x = steps[-1].unseen(x)
        for step in reversed(steps[:-1]):
            x = step.down(x)
        images: np.ndarray = x.double().numpy() * scaling.scale + scaling.offset
        return images

    with torch.no_grad():
        x = torch.from_numpy(scaling.apply(images))
        for number, layer in enumerate(with_a_way_back(subject), start=1):
            steps.append(Step(layer, tuple(x.shape[1:])))
            seen = steps[-1].seen(x)
            if _corrupts(layer):
                method = layer.document["method"]
                worse, _ = corrupt(seen, method["corruption"], method["level"], generator(seed, number))
                found.append(Repair(number, as_images(worse), as_images(steps[-1].decode(steps[-1].encode(worse)))))
            x = steps[-1].encode(seen)
    return found


def _distance(images: np.ndarray, originals: np.ndarray) -> float:
    """Root of the mean squared difference of a value."""
    import numpy as np

    return float(np.sqrt(np.square(images - originals).mean()))
