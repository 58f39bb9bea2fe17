"""The network as a folder that the Hugging Face Hub understands, in a zip archive: weights, config and model card."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from nnpipe.errors import DataError
from nnpipe.exporters.exporter import Exporter, WeightsExporter, document, read_document, weights
from nnpipe.exporters.safetensors import Safetensors

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import numpy as np

    from nnpipe.exporters.exporter import Context
    from nnpipe.models.network import Network

HUB = ("model_type", "id2label", "label2id")  # what config.json has besides the document


class HuggingFace(WeightsExporter):
    """``config.json``, which is the document and what the Hub asks for, ``model.safetensors`` and ``README.md``.

    https://huggingface.co/docs/hub/model-cards says what a card begins with.
    """

    kind: Literal["huggingface"] = "huggingface"
    filename: ClassVar[str] = "huggingface.zip"
    loading: ClassVar[str] = "unzip huggingface.zip -d model; hf upload NAME model"

    @property
    def inner(self) -> Exporter:
        return Safetensors()

    def write(self, network: Network, path: Path, context: Context) -> None:
        from safetensors.numpy import save

        from nnpipe.exporters.archive import write_archive

        about = document(network)
        config = json.loads(about) | {"model_type": "nnpipe"}
        if network.class_names:
            config["id2label"] = {str(label): name for label, name in enumerate(network.class_names)}
            config["label2id"] = {name: label for label, name in enumerate(network.class_names)}
        members = {
            "README.md": context.card.encode(),
            "config.json": json.dumps(config, sort_keys=True, indent=2).encode() + b"\n",
            # The document is in here too: the file can be asked without the folder.
            "model.safetensors": save(weights(network), metadata={"nnpipe": about}),
        }
        write_archive(path, members)

    def read(self, path: Path) -> tuple[Mapping[str, np.ndarray], Mapping[str, Any]]:
        from safetensors import SafetensorError
        from safetensors.numpy import load

        from nnpipe.exporters.archive import read_member

        try:
            return load(read_member(path, "model.safetensors")), self.about(path)
        except SafetensorError as error:
            raise DataError("weights that are no safetensors", where=str(path), found=str(error)) from error

    def recognises(self, path: Path) -> bool:
        from nnpipe.exporters.archive import member_names

        return path.suffix == ".zip" and "MLmodel" not in member_names(path)

    def about(self, path: Path) -> Mapping[str, Any]:
        from nnpipe.exporters.archive import read_member

        found = read_document(read_member(path, "config.json").decode(errors="replace"), path)
        return {name: value for name, value in found.items() if name not in HUB}
