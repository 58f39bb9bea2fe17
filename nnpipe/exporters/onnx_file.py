"""A network as an ONNX model, and what every file that holds one offers: it is run by ONNX Runtime, and read."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

from nnpipe.errors import DataError
from nnpipe.exporters.exporter import read_document
from nnpipe.exporters.preprocessing import GraphExporter

# Before ONNX Runtime is imported: since 1.29 it reports its use to its makers, and leaves an id in the home folder.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import numpy as np
    import onnx

    from nnpipe.exporters.exporter import Run
    from nnpipe.models.architecture import Model
    from nnpipe.models.network import Network


class OnnxFile(GraphExporter):
    """``input`` (batch, *input_shape) to ``output`` (batch, units), weights inside the one file.

    The parts of the document, each as JSON, are entries of ``metadata_props``: architecture, class_names,
    input_shape, scaling and so on.
    """

    def load(self, path: Path, architecture: Model | None = None) -> Run | None:
        return computed_by_onnx(path)

    def example(self, file: str) -> str:
        return (
            "import onnxruntime\n\n"
            f"model = onnxruntime.InferenceSession({file!r})\n"
            f'outputs = model.run(["output"], {{"input": {self.example_reads}}})[0]'
        )

    def about(self, path: Path) -> Mapping[str, Any]:
        """The document. Files beside the model are never read, and nothing that may not be run is."""
        from nnpipe.exporters.onnx_check import read_onnx

        return read_onnx_document(read_onnx(path), path)


def onnx_model(network: Network, *, raw: bool = False) -> onnx.ModelProto:
    """What ``network`` computes, as a graph of operators with the weights inside; the document is not.

    raw: as ``trace`` has it.
    """
    import torch

    from nnpipe.exporters.trace import BATCH, trace

    program = torch.onnx.export(
        trace(network, raw=raw),
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
    return model


def onnx_bytes(model: onnx.ModelProto, about: Mapping[str, Any]) -> bytes:
    """The file of ``model``, with the model document ``about`` as all of its metadata."""
    from nnpipe.store.canonical import canonical_json

    model.ClearField("metadata_props")
    for key, value in sorted(about.items()):
        model.metadata_props.add(key=key, value=canonical_json(value).decode())
    data: bytes = model.SerializeToString(deterministic=True)
    return data


def computed_by_onnx(model: Path | bytes) -> Run | None:
    """What the ONNX file, or its bytes, computes by ONNX Runtime on a core; None where that is not installed."""
    from importlib.util import find_spec

    if find_spec("onnxruntime") is None:
        return None
    import numpy as np

    session = open_session(model)

    def run(x: np.ndarray) -> np.ndarray:
        return np.asarray(session.run(["output"], {"input": x})[0])

    return run


def open_session(model: Path | bytes) -> Any:
    """ONNX Runtime's session of an ONNX file or its bytes, on one core."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def read_onnx_document(data: bytes, path: Path) -> dict[str, Any]:
    """The document in the ONNX file whose bytes are ``data``.

    Raises:
        DataError: it is damaged, has none, is of another graph, or has something that may not be run, as
            ``checked_model`` says; ``path`` is the file it was found in.
    """
    from nnpipe.exporters.onnx_check import checked_model

    model = checked_model(data, path)
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
