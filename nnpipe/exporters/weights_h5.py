"""The weights in plain HDF5: one data set a tensor, for any program that reads HDF5."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from nnpipe.exporters.exporter import WeightsExporter, document, read_document, weights

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np

    from nnpipe.exporters.exporter import Context
    from nnpipe.models.network import Network
    from nnpipe.store.hdf5_tree import Group


class WeightsH5(WeightsExporter):
    """``layers/<i>/weight``, ``layers/<i>/bias`` and so on as torch has them; the document is the root's ``nnpipe``."""

    kind: Literal["weights_h5"] = "weights_h5"
    filename: ClassVar[str] = "weights.h5"
    loading: ClassVar[str] = 'h5py.File("weights.h5")'

    def write(self, network: Network, path: Path, context: Context) -> None:
        from nnpipe.store.hdf5_tree import Group, write_tree

        write_tree(path, Group({"nnpipe": document(network)}, groups=_nested(weights(network)).groups))

    def read(self, path: Path) -> tuple[Mapping[str, np.ndarray], Mapping[str, Any]]:
        from nnpipe.store.hdf5_tree import read_tree

        return _flat(read_tree(path)), self.about(path)

    def recognises(self, path: Path) -> bool:
        from nnpipe.store.hdf5_tree import attribute_names

        return path.suffix == ".h5" and "model_config" not in attribute_names(path)

    def about(self, path: Path) -> Mapping[str, Any]:
        from nnpipe.store.hdf5_tree import read_text

        return read_document(read_text(path, "nnpipe"), path)


def _nested(tensors: Mapping[str, np.ndarray]) -> Group:
    """A tree of groups of tensors whose names are paths with dots."""
    from nnpipe.store.hdf5_tree import Group

    arrays: dict[str, np.ndarray] = {}
    below: dict[str, dict[str, np.ndarray]] = {}
    for name, tensor in tensors.items():
        head, _, rest = name.partition(".")
        if rest:
            below.setdefault(head, {})[rest] = tensor
        else:
            arrays[head] = tensor
    return Group(arrays=arrays, groups={head: _nested(inside) for head, inside in below.items()})


def _flat(group: Group) -> dict[str, np.ndarray]:
    """The arrays of a tree of groups by their path with dots."""
    arrays = dict(group.arrays)
    for head, inside in group.groups.items():
        arrays |= {f"{head}.{rest}": array for rest, array in _flat(inside).items()}
    return arrays
