"""The formats that a trained network can leave in. A new one is a file here and a member of ``AnyExporter``."""

from pathlib import Path
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


def exporter_of(path: Path) -> Exporter:
    """The format of the file at ``path``, as far as its name and its first bytes tell.

    Raises:
        UsageError: there is no such file, or it is in none of the formats.
    """
    if not path.is_file():
        raise UsageError("no such file", where=str(path), expected="a trained network")
    every = every_exporter().values()
    found = next((each for each in every if each.recognises(path)), None)
    if found is None:
        endings = ", ".join(sorted({Path(each.filename).suffix for each in every}))
        what, expected = "not a file that holds a network", f"a name that ends with {endings}"
        raise UsageError(what, where=str(path), expected=expected)
    return found


def find_exporter(kind: str, **options: str) -> Exporter:
    """The exporter called ``kind``, with these options and its default ones.

    Raises:
        UsageError: there is none of that name, or it has no such option.
    """
    every = every_exporter()
    if kind not in every:
        expected = "one of " + ", ".join(every)
        raise UsageError(f"no export format {kind!r}", expected=expected, found=kind, hint=nearest(kind, every))
    for option in options:
        if option not in type(every[kind]).model_fields:
            having = ", ".join(name for name, each in every.items() if option in type(each).model_fields)
            raise UsageError(f"{kind} has no option {option}", expected=f"one of {having}", found=kind)
    return type(every[kind]).model_validate({"kind": kind, **options})
