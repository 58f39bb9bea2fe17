"""A spec whose network stands in a file: its layers are read where the spec is, its weights by the stage ``import``."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nnpipe.errors import NnpipeError, UsageError
from nnpipe.exporters import exporter_of, find_exporter
from nnpipe.exporters.exporter import WeightsExporter
from nnpipe.models.layers.layer import Layer
from nnpipe.prediction.document import checked_document
from nnpipe.spec import problem

FORMATS = "Keras's .h5 or .keras, or what export wrote as safetensors, weights_h5 or huggingface"


def with_the_files_layers(spec: Any, root: Path) -> Any:
    """``spec``, not yet checked, with the layers that ``model: {from: FILE}`` stands for.

    root: the folder that the path starts from.

    Raises:
        PydanticCustomError: there is no network in the file, or not one that can be learnt on from.
    """
    model = spec.get("model") if isinstance(spec, Mapping) else None
    if not isinstance(model, Mapping) or not isinstance(model.get("from"), str):
        return spec
    format_, found = _read(root / model["from"], model.get("format"))
    keep = model.get("keep")
    if keep is None:
        keep = len(found)
    elif type(keep) is int and keep > len(found):
        expected = f"at most {len(found)}, which the file has"
        raise problem("more layers to keep than there are", path=("model", "keep"), expected=expected, found=str(keep))
    own = model.get("layers") or ()
    if not isinstance(own, list | tuple) or type(keep) is not int:
        return spec  # what is wrong there, the part itself tells
    return {**spec, "model": {**model, "format": format_, "keep": keep, "layers": (*found[:keep], *own)}}


def _read(path: Path, format_: object) -> tuple[str, tuple[Layer, ...]]:
    """The format of the file at ``path``, and the layers of the network in it."""
    try:
        exporter = exporter_of(path) if format_ is None else find_exporter(str(format_))
        if not isinstance(exporter, WeightsExporter):
            raise UsageError(f"{exporter.kind} files are not learnt on from", where=str(path), expected=FORMATS)
        document = checked_document(exporter.about(path), path)
        model = document.architecture
        if document.code is not None:
            raise UsageError("the file holds an autoencoder", where=str(path), expected="a network with answers")
        if any(layer.kind == "custom" for _, layer in model.at_any_depth()):
            raise UsageError(
                "a file cannot say whose code is run, and this network has a layer of somebody's own", where=str(path)
            )
        return exporter.kind, model.layers
    except NnpipeError as error:
        what = f"{error.where}: {error.what}" if error.where else error.what
        raise problem(
            what, path=("model", "from"), expected=error.expected, found=error.found, hint=error.hint
        ) from error
