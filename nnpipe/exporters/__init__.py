"""The formats that a trained network can leave in. A new one is a file here and a member of ``AnyExporter``."""

from __future__ import annotations

from typing import Annotated, get_args

from pydantic import Field

from nnpipe.errors import UsageError, nearest
from nnpipe.exporters.exporter import Exporter
from nnpipe.exporters.keras_h5 import KerasH5
from nnpipe.exporters.onnx import Onnx
from nnpipe.exporters.safetensors import Safetensors
from nnpipe.exporters.torch_export import TorchExport
from nnpipe.exporters.weights_h5 import WeightsH5

AnyExporter = Annotated[
    KerasH5 | Onnx | TorchExport | Safetensors | WeightsH5,
    Field(discriminator="kind"),
]

EVERY: dict[str, Exporter] = {member().kind: member() for member in get_args(get_args(AnyExporter)[0])}


def find_exporter(kind: str) -> Exporter:
    """The exporter called ``kind``, with its default options.

    Raises:
        UsageError: there is none of that name.
    """
    if kind not in EVERY:
        expected = "one of " + ", ".join(EVERY)
        raise UsageError(f"no export format {kind!r}", expected=expected, found=kind, hint=nearest(kind, EVERY))
    return EVERY[kind]


__all__ = [
    "EVERY",
    "AnyExporter",
    "Exporter",
    "KerasH5",
    "Onnx",
    "Safetensors",
    "TorchExport",
    "WeightsH5",
    "find_exporter",
]
