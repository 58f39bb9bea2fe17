"""A user's own files in the IDX format of MNIST."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar, Literal

from nnpipe.datasets.paths import existing
from nnpipe.datasets.sources.labelled import Labelled
from nnpipe.datasets.sources.source import Opened


class Idx(Labelled):
    """IDX files of images, (rows, height, width), or vectors, (rows, features), raw or gzipped, and their labels."""

    unkeyed: ClassVar[frozenset[str]] = frozenset({"images", "labels", "test_images", "test_labels"})

    kind: Literal["idx"] = "idx"

    def files(self, root: Path) -> list[Path]:
        return [path for pair in self._paths(root).values() for path in pair]

    def open(self, root: Path, seed: int) -> Opened:
        from nnpipe.datasets.labelled_idx import open_labelled_idx

        return open_labelled_idx(self._paths(root), self.class_names)

    def _paths(self, root: Path) -> dict[str, tuple[Path, Path]]:
        return {split: (_file(root, x), _file(root, y)) for split, (x, y) in self.pairs().items()}


def _file(root: Path, path: str) -> Path:
    return existing(root, path, "an IDX file, raw or gzipped")
