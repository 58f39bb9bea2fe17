"""Scaling as a part of what a file computes, in the formats that hold a graph of operators and not weights alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from nnpipe.exporters.exporter import Exporter
from nnpipe.models.scaling import Scaling

if TYPE_CHECKING:
    import numpy as np

    from nnpipe.models.network import Network

Preprocessing = Literal["metadata", "inside"]


class GraphExporter(Exporter):
    """A format whose files can read raw values, and give answers in the data's units.

    The document of such a file tells the same scaling, and with ``preprocessing: inside`` that the file does it.
    """

    preprocessing: Preprocessing = Field(
        "metadata",
        description="Where raw values are scaled: by whoever asks, as the document in the file says (metadata), or by "
        "the file itself, which then reads raw values and gives numbers in the data's units (inside).",
    )

    @property
    def reads_raw(self) -> bool:
        return self.preprocessing == "inside"

    def reads(self, network: Network, raw: np.ndarray) -> np.ndarray:
        return raw.astype("float32") if self.reads_raw else super().reads(network, raw)

    def gives(self, network: Network, outputs: np.ndarray) -> np.ndarray:
        scaling = output_scaling(network) if self.reads_raw else None
        return in_units(scaling, outputs) if scaling else outputs

    @property
    def example_reads(self) -> str:
        """What an ``example`` gives the file, in Python."""
        return "raw.astype(np.float32)" if self.reads_raw else "x"

    def document_of(self, network: Network) -> dict[str, Any]:
        """What ``save_document`` says, and whether the file scales by itself."""
        from nnpipe.models.network import save_document

        document = save_document(network)
        return {**document, "preprocessing": self.preprocessing} if self.reads_raw else document

    def text_of(self, network: Network) -> str:
        """The same as canonical JSON."""
        from nnpipe.store.canonical import canonical_json

        return canonical_json(self.document_of(network)).decode()


def input_scaling(network: Network) -> Scaling | None:
    """How raw values are scaled; None: not at all."""
    return _if_any(network.scaling)


def output_scaling(network: Network) -> Scaling | None:
    """How the outputs are scaled: as the numbers to learn, or of an autoencoder as its inputs; None: not at all."""
    return _if_any(network.target_scaling if network.code is None else network.scaling)


def _if_any(scaling: Scaling) -> Scaling | None:
    return None if (scaling.offset, scaling.scale) == (0, 1) else scaling


def in_units(scaling: Scaling, values: np.ndarray) -> np.ndarray:
    """Scaled float32 ``values`` in the data's units: what ``Scaling.apply`` made them from."""
    import numpy as np

    scale, offset = (np.asarray(numbers, np.float32) for numbers in (scaling.scale, scaling.offset))
    return np.asarray(values * scale + offset)
