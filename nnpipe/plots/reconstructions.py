"""Images, and what each pretrained layer keeps of them: encoded up to it, then decoded down the stack."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from nnpipe.plots.picture import Drawing, Picture, Section, Subject
from nnpipe.plots.way_back import with_a_way_back

if TYPE_CHECKING:
    import numpy as np


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
        return subject.image_shape is not None and len(subject.inputs) > 0 and bool(with_a_way_back(subject))

    def draw(self, subject: Subject) -> Drawing:
        import numpy as np

        from nnpipe.plots.decoding import draw_rows

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
            figure=draw_rows(shares, ["images", *(f"layer {number}" for number in range(1, len(rows)))]),
        )


def _reconstructions(subject: Subject, images: np.ndarray) -> list[np.ndarray]:
    """Of each layer with a way back: images (n, channels, height, width) in the data's units, float64."""
    import torch

    from nnpipe.models.scaling import Scaling
    from nnpipe.plots.decoding import Step

    scaling = Scaling.model_validate(subject.document["scaling"])
    x = torch.from_numpy(scaling.apply(images))
    steps: list[Step] = []
    found = []
    with torch.no_grad():
        for each in with_a_way_back(subject):
            steps.append(Step(each, tuple(x.shape[1:])))
            x = back = steps[-1].up(x)
            for step in reversed(steps):
                back = step.down(back)
            found.append(back.double().numpy() * scaling.scale + scaling.offset)
    return found
