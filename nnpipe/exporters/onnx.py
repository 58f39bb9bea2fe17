"""The network in ONNX, weights inside the one file: for ONNX Runtime and whatever else reads the format."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from nnpipe.exporters.onnx_file import OnnxFile, onnx_bytes, onnx_model

if TYPE_CHECKING:
    from pathlib import Path

    from nnpipe.exporters.exporter import Context
    from nnpipe.models.network import Network


class Onnx(OnnxFile):
    """``input`` (batch, *input_shape) to ``output`` (batch, units).

    The parts of the document, each as JSON, are entries of ``metadata_props``: architecture, class_names,
    input_shape, scaling and so on.
    """

    kind: Literal["onnx"] = "onnx"
    filename: ClassVar[str] = "model.onnx"
    loading: ClassVar[str] = 'onnxruntime.InferenceSession("model.onnx")'

    def write(self, network: Network, path: Path, context: Context) -> None:
        path.write_bytes(onnx_bytes(onnx_model(network, raw=self.reads_raw), self.document_of(network)))
