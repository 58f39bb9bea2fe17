"""What is measured on the test examples, as a spec says it."""

from __future__ import annotations

from pydantic import Field

from nnpipe.spec import Part


class Measures(Part):
    """What can be chosen of what is measured; all else follows from the data."""

    top_k: int = Field(
        5, ge=2, description="A prediction counts as right if its class is among so many; where there are more classes."
    )
