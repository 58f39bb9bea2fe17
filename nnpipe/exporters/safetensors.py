"""The weights in safetensors, with the model document in the header: what the store itself keeps."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from nnpipe.errors import DataError
from nnpipe.exporters.exporter import WeightsExporter, document, read_document, weights

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import numpy as np

    from nnpipe.exporters.exporter import Context
    from nnpipe.models.network import Network


class Safetensors(WeightsExporter):
    """Tensors as torch has them, ``layers.<i>.weight`` and so on; the document is the metadata's ``nnpipe``."""

    kind: Literal["safetensors"] = "safetensors"
    filename: ClassVar[str] = "model.safetensors"
    loading: ClassVar[str] = 'safetensors.numpy.load_file("model.safetensors")'

    def write(self, network: Network, path: Path, context: Context) -> None:
        from safetensors.numpy import save_file

        # One metadata entry only: the format does not order several.
        save_file(weights(network), path, metadata={"nnpipe": document(network)})

    def read(self, path: Path) -> tuple[Mapping[str, np.ndarray], Mapping[str, Any]]:
        with _opened(path) as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a mapping
        return tensors, self.about(path)

    def about(self, path: Path) -> Mapping[str, Any]:
        with _opened(path) as file:
            return read_document((file.metadata() or {}).get("nnpipe"), path)


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="numpy") as file:
            yield file
    except SafetensorError as error:
        raise DataError("not a readable safetensors file", where=str(path), found=str(error)) from error
