"""The network in ONNX, weights inside the one file: for ONNX Runtime and whatever else reads the format."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from nnpipe.errors import DataError
from nnpipe.exporters.exporter import Exporter, read_document

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import numpy as np

    from nnpipe.exporters.exporter import Context, Run
    from nnpipe.models.architecture import Model
    from nnpipe.models.network import Network


class Onnx(Exporter):
    """``input`` (batch, *input_shape) to ``output`` (batch, units).

    The parts of the document, each as JSON, are entries of ``metadata_props``: architecture, class_names,
    input_shape, scaling.
    """

    kind: Literal["onnx"] = "onnx"
    filename: ClassVar[str] = "model.onnx"
    loading: ClassVar[str] = 'onnxruntime.InferenceSession("model.onnx")'

    def write(self, network: Network, path: Path, context: Context) -> None:
        import torch

        from nnpipe.exporters.trace import BATCH, trace
        from nnpipe.models.network import save_document
        from nnpipe.store.canonical import canonical_json

        program = torch.onnx.export(
            trace(network),
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
        for key, value in sorted(save_document(network).items()):
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

    def about(self, path: Path) -> Mapping[str, Any]:
        """The document. Files beside the model are never read, and nothing that may not be run is."""
        from nnpipe.exporters.onnx_check import checked_model, read_onnx

        model = checked_model(read_onnx(path), path)
        entries = {entry.key: entry.value for entry in model.metadata_props}
        text = ", ".join(f"{json.dumps(str(key))}: {value}" for key, value in entries.items())  # bytes, if damaged
        found = read_document(f"{{{text}}}", path)
        graph = model.graph
        shapes = {end.name: [axis.dim_value for axis in end.type.tensor_type.shape.dim][1:] for end in graph.input}
        outputs = [end.name for end in graph.output]
        if shapes != {"input": found["input_shape"]} or outputs != ["output"]:
            raise DataError(
                "the graph is not of the network",
                where=str(path),
                expected=f"from input, {found['input_shape']} an example, to output",
                found=f"from {shapes} to {', '.join(outputs)}",
            )
        return found
