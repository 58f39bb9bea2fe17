"""The weights in safetensors, with the model document in the header: what the store itself keeps."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from nnpipe.exporters.exporter import Exporter, computed_by, document, weights

if TYPE_CHECKING:
    from pathlib import Path

    from nnpipe.exporters.exporter import Run
    from nnpipe.models.architecture import Model
    from nnpipe.models.network import Network


class Safetensors(Exporter):
    """Tensors as torch has them, ``layers.<i>.weight`` and so on; the document is the metadata's ``nnpipe``."""

    kind: Literal["safetensors"] = "safetensors"
    filename: ClassVar[str] = "model.safetensors"
    loading: ClassVar[str] = 'safetensors.numpy.load_file("model.safetensors")'

    def write(self, network: Network, path: Path) -> None:
        from safetensors.numpy import save_file

        # One metadata entry only: the format does not order several.
        save_file(weights(network), path, metadata={"nnpipe": document(network)})

    def load(self, path: Path, architecture: Model | None = None) -> Run | None:
        import json

        from safetensors import safe_open

        from nnpipe.models.network import load_network

        with safe_open(path, framework="numpy") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a mapping
            return computed_by(load_network(tensors, json.loads(file.metadata()["nnpipe"]), architecture))
