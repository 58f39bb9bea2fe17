"""The ``card`` part of a spec: what only those who trained a network can say of it."""

from __future__ import annotations

from pydantic import Field

from nnpipe.spec import Part

# An SPDX licence expression: identifiers, AND, OR, WITH and brackets. https://spdx.org/licenses
SPDX = r"^[A-Za-z0-9][A-Za-z0-9.:+() -]*$"


class Card(Part):
    """What a model card tells of a network and nothing else knows; every text may hold Markdown.

    The fields are those of M. Mitchell et al., "Model Cards for Model Reporting", FAT* 2019, that are no measurements.
    """

    title: str = Field("", max_length=120, description="What the network is called; left out: how many layers it has.")
    intended_use: str = Field("", description="What the network is for, and for whom.")
    out_of_scope: str = Field("", description="What it should not be used for.")
    limitations: str = Field("", description="Where it fails, whom that may harm, and what to do about it.")
    licence: str | None = Field(
        None, pattern=SPDX, max_length=200, description="Under which it may be used, as SPDX writes it: Apache-2.0."
    )
    authors: tuple[str, ...] = Field((), description="Who trained it.")
    contact: str = Field("", description="Where questions go: a mail address, a page.")
