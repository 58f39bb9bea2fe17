"""The formats that a trained network can leave in. A new one is a file here and a member of ``AnyExporter``."""

from typing import Annotated

from nnpipe.errors import UsageError, nearest
from nnpipe.exporters.exporter import Exporter
from nnpipe.spec import Components, members

AnyExporter = Annotated[
    Exporter,
    Components(
        __name__,
        keras="Keras",
        keras_h5="KerasH5",
        onnx="Onnx",
        onnx_int8="OnnxInt8",
        torch_export="TorchExport",
        safetensors="Safetensors",
        weights_h5="WeightsH5",
        huggingface="HuggingFace",
        mlflow="Mlflow",
    ),
]


def every_exporter() -> dict[str, Exporter]:
    """One of each by its kind, with its default options."""
    found = (member() for member in members(AnyExporter))
    return {exporter.kind: exporter for exporter in found if isinstance(exporter, Exporter)}


def find_exporter(kind: str) -> Exporter:
    """The exporter called ``kind``, with its default options.

    Raises:
        UsageError: there is none of that name.
    """
    every = every_exporter()
    if kind not in every:
        expected = "one of " + ", ".join(every)
        raise UsageError(f"no export format {kind!r}", expected=expected, found=kind, hint=nearest(kind, every))
    return every[kind]
