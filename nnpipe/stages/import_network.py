"""The stage that reads a trained network from a file of somebody's: weights, and how it scales what it reads."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, ClassVar, cast

from nnpipe.errors import DataError, UsageError
from nnpipe.exporters import AnyExporter
from nnpipe.exporters.exporter import WeightsExporter
from nnpipe.models.architecture import Model
from nnpipe.spec import Part, Shorthand
from nnpipe.stages.work import Work

IMPORT = "import"


class NetworkFile(Part):
    """The file, as a source of what its stage reads."""

    unkeyed: ClassVar[frozenset[str]] = frozenset({"path"})

    path: str

    def files(self, root: Path) -> list[Path] | None:
        """The file itself; None if it is not there."""
        found = root / self.path
        return [found] if found.is_file() else None

    def fetch(self, root: Path) -> None:
        """Say that it is not there: nothing can fetch it.

        Raises:
            UsageError: always.
        """
        raise UsageError("no such file", where=str(root / self.path), expected="a trained network")


class ImportNetwork(Part):
    """Which file, and how it is read. model: the layers that it begins with, whose code counts."""

    file: NetworkFile
    reader: Annotated[AnyExporter, Shorthand()]
    model: Model


def import_network(config: ImportNetwork, work: Work) -> None:
    """Keep ``model`` (safetensors), as a training stage does.

    Raises:
        DataError: the file is damaged, or changed since the spec was read.
    """
    path = work.root / config.file.path
    tensors, document = cast(WeightsExporter, config.reader).read(path)
    layers, expected = Model.model_validate(document["architecture"]).layers, config.model.layers
    if layers[: len(expected)] != expected:
        raise DataError("the file holds another network than when the spec was read", where=str(path))
    work.output.tensors("model", dict(tensors), dict(document))
    work.output.summary = {
        "format": config.reader.kind,
        "layers": len(layers),
        "parameters": sum(tensor.size for tensor in tensors.values()),
    }
