"""Where test examples lie for a classifier's last hidden layer."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from nnpipe.plots.picture import Drawing, Picture, Section, Subject

if TYPE_CHECKING:
    import numpy as np

FEWEST = 10  # examples: fewer have no neighbourhoods


class RepresentationMap(Picture):
    """The activations that the output layer reads, in their principal plane, and on a map that keeps neighbours."""

    kind: Literal["representation_map"] = "representation_map"
    needs: ClassVar[str] = "a network with a hidden layer of more than two units that tells classes"
    section: ClassVar[Section] = "activations"
    examples: int = Field(300, ge=FEWEST, le=1000, description="Test examples to show at most.")

    def applies(self, subject: Subject) -> bool:
        shapes = subject.network.architecture.shapes(subject.network.input_shape)
        weighted = [name for name, _ in subject.network.named_parameters()]
        hidden = len({name.split(".")[1] for name in weighted}) > 1 and prod(shapes[-2]) > 2
        return bool(subject.class_names) and hidden and len(subject.inputs) >= FEWEST

    def draw(self, subject: Subject) -> Drawing:
        from nnpipe.plots import maps
        from nnpipe.plots.effort import affordable

        places = affordable(subject, 1, self.examples)
        activations, labels, names = _last_hidden(subject, places), subject.truth[places], subject.class_names
        points, share = maps.in_the_plane(activations)
        panels, shown, seen = [("First two principal directions", points)], "", ""
        if maps.can_be_mapped(activations):
            mapped = maps.neighbour_map(activations)
            panels.append(("A map by t-SNE", mapped))
            shown = f" {maps.HOW_TO_READ}"
            seen = f" {maps.neighbours_seen(activations, mapped, labels, 'layer')}"
        return Drawing(
            title="Map of the last hidden layer",
            caption=f"Each point is one of {len(places)} test examples, placed by what the {activations.shape[1]:,} "
            f"units give that the output layer reads: their two principal directions show {share:.0%} of their "
            f"variance.{shown} Colours and names tell the true classes: islands of one colour are what the output "
            f"layer can tell apart, and a point among others' colours is a likely mistake.{seen}",
            alt=f"A scatter of {len(places)} test examples by the last hidden layer, coloured by {len(names)} classes."
            f"{seen}",
            figure=maps.draw_panels(panels, [labels] * len(panels), names),
        )


def _last_hidden(subject: Subject, places: np.ndarray) -> np.ndarray:
    """What reaches the output layer, (n, units), flattened."""
    import torch

    network = subject.network
    x = torch.from_numpy(network.scaling.apply(subject.inputs[places]))
    with torch.inference_mode():
        parts = [network.activations(part)[-2].flatten(1) for part in torch.split(x, 50)]
    return torch.cat(parts).numpy()
