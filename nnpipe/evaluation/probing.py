"""Whether probes are wanted, and how large they are, as a spec says it."""

from __future__ import annotations

from pydantic import Field

from nnpipe.spec import Part


class Probing(Part):
    """Classifiers that ask every pretrained layer, and the input itself, how well classes can be read from it."""

    neighbours: int = Field(5, ge=1, description="How many of the nearest training examples vote.")
    examples: int = Field(
        10_000, ge=1, description="Labelled training examples that probes learn from, drawn at random; at most."
    )
