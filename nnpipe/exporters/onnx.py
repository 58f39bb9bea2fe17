"""The network in ONNX, weights inside the one file: for ONNX Runtime and whatever else reads the format."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from nnpipe.errors import DataError
from nnpipe.exporters.exporter import read_document
from nnpipe.exporters.preprocessing import GraphExporter

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import numpy as np

    from nnpipe.exporters.exporter import Context, Run
    from nnpipe.models.architecture import Model
    from nnpipe.models.network import Network


class Onnx(GraphExporter):
    """``input`` (batch, *input_shape) to ``output`` (batch, units).

    The parts of the document, each as JSON, are entries of ``metadata_props``: architecture, class_names,
    input_shape, scaling and so on.
    """

    kind: Literal["onnx"] = "onnx"
    filename: ClassVar[str] = "model.onnx"
    loading: ClassVar[str] = 'onnxruntime.InferenceSession("model.onnx")'

    def write(self, network: Network, path: Path, context: Context) -> None:
        import torch

        from nnpipe.exporters.trace import BATCH, trace
        from nnpipe.store.canonical import canonical_json

        program = torch.onnx.export(
            trace(network, raw=self.reads_raw),
            dynamo=True,
            input_names=["input"],
            output_names=["output"],
            dynamic_shapes=BATCH,  # for its name
            external_data=False,
            verbose=False,
        )
        assert program is not None  # None is for exports straight into a file
        model = program.model_proto
        for part in (model.graph, *model.graph.node, *model.graph.value_info, *model.graph.input, *model.graph.output):
            part.ClearField("metadata_props")  # notes of the exporter about its own work
        for key, value in sorted(self.document_of(network).items()):
            model.metadata_props.add(key=key, value=canonical_json(value).decode())
        path.write_bytes(model.SerializeToString(deterministic=True))

    def load(self, path: Path, architecture: Model | None = None) -> Run | None:
        from importlib.util import find_spec

        if find_spec("onnxruntime") is None:
            return None
        import numpy as np
        import onnxruntime  # type: ignore[import-untyped]

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])

        def run(x: np.ndarray) -> np.ndarray:
            return np.asarray(session.run(["output"], {"input": x})[0])

        return run

    def example(self, file: str) -> str:
        return (
            "import onnxruntime\n\n"
            f"model = onnxruntime.InferenceSession({file!r})\n"
            f'outputs = model.run(["output"], {{"input": {self.example_reads}}})[0]'
        )

    def about(self, path: Path) -> Mapping[str, Any]:
        """The document. Files beside the model are never read: one that keeps weights in them is refused."""
        import onnx

        try:
            model = onnx.load(path, load_external_data=False)
        except Exception as error:  # protobuf's own, which has no types
            raise DataError("not a readable ONNX file", where=str(path), found=str(error)) from error
        outside = [weight.name for weight in model.graph.initializer if weight.external_data]
        if outside:
            raise DataError(
                "the file keeps weights in other files, which are not read",
                where=str(path),
                expected="all weights inside",
                found=f"{len(outside)} outside, {outside[0]!r} first",
            )
        entries = {entry.key: entry.value for entry in model.metadata_props}
        return read_document("{" + ", ".join(f"{json.dumps(k)}: {v}" for k, v in entries.items()) + "}", path)
