"""Where test examples lie in an autoencoder's code."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from nnpipe.plots.picture import Drawing, Picture, Section, Subject

MOST_POINTS = 5000  # with more, colours only cover each other


class Codes(Picture):
    """Test examples as points: a code of two units as it is; of a larger one its principal plane, and a map of it."""

    kind: Literal["codes"] = "codes"
    needs: ClassVar[str] = "an unrolled network whose code has at least two units"
    section: ClassVar[Section] = "activations"
    mapped: int = Field(300, ge=0, le=1000, description="Test examples on the map by t-SNE, at most; 0: no map.")

    def applies(self, subject: Subject) -> bool:
        return subject.code is not None and subject.predictions.shape[1] >= 2 and len(subject.predictions) > 2

    def draw(self, subject: Subject) -> Drawing:
        from nnpipe.plots import maps
        from nnpipe.plots.effort import affordable

        codes, names = subject.predictions[:MOST_POINTS], subject.label_names
        labels = [subject.truth[: len(codes)] if names else None]
        units = codes.shape[1]
        if units == 2:
            panels = [("The two units of the code", codes)]
            shown = f"Each point is one of {len(codes):,} test examples, placed by the two units of its code."
        else:
            points, share = maps.in_the_plane(codes)
            panels = [("The code's first two principal directions", points)]
            shown = (
                f"Each point is one of {len(codes):,} test examples, placed by the two directions in which the codes "
                f"of {units} numbers vary most: {share:.0%} of their variance."
            )
        seen = ""
        places = affordable(subject, 1, self.mapped)
        if maps.can_be_mapped(chosen := subject.predictions[places]):
            points, known = maps.neighbour_map(chosen), subject.truth[places] if names else None
            panels.append((f"A map of the code by t-SNE, {len(places)} examples", points))
            labels.append(known)
            shown += f" {maps.HOW_TO_READ}"
            seen = "" if known is None else f" {maps.neighbours_seen(chosen, points, known, 'code')}"
        figure = maps.draw_panels(panels, labels, names)
        if units == 2:
            figure.axes[0].set(xlabel="first unit of the code", ylabel="second unit of the code")
            figure.axes[0].tick_params(labelbottom=True, labelleft=True)
        named = " Colours and names tell the classes, which training did not know." if names else ""
        return Drawing(
            title="Codes",
            caption=f"{shown}{named} Examples that lie together have like codes, so they are given back alike; classes "
            f"that form islands could be told apart by the code alone.{seen}",
            alt=f"A scatter of {len(codes):,} test examples in two directions of the code"
            + (f", coloured by {len(names)} classes." if names else "."),
            figure=figure,
        )
