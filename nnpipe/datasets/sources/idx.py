"""A user's own files in the IDX format of MNIST."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar, Literal

from pydantic import Field, model_validator

from nnpipe.datasets.paths import existing
from nnpipe.datasets.sources.source import ClassNames, Description, Opened, Source
from nnpipe.spec import problem


class Idx(Source):
    """IDX files of images, (rows, height, width), or vectors, (rows, features), raw or gzipped, and their labels."""

    unkeyed: ClassVar[frozenset[str]] = frozenset({"images", "labels", "test_images", "test_labels"})

    kind: Literal["idx"] = "idx"
    images: str = Field(description="File of the images to train on.")
    labels: str = Field(description="File of their labels.")
    test_images: str | None = Field(None, description="File of the images to test on.")
    test_labels: str | None = Field(None, description="File of their labels.")
    class_names: ClassNames | None = Field(None, description="One a class; left out: the labels' numbers.")

    @model_validator(mode="after")
    def _check_test_files_come_together(self) -> Idx:
        if (self.test_images is None) != (self.test_labels is None):
            missing = "test_images" if self.test_images is None else "test_labels"
            raise problem(f"{missing} is missing", expected="both test_images and test_labels, or neither", found="one")
        return self

    def describe(self, root: Path) -> Description:
        opened = self.open(root, seed=0)  # reads labels, no examples
        return Description(opened.shape, len(opened.class_names))

    def files(self, root: Path) -> list[Path]:
        return [path for pair in self._pairs(root).values() for path in pair]

    def open(self, root: Path, seed: int) -> Opened:
        from nnpipe.datasets.labelled_idx import open_labelled_idx

        return open_labelled_idx(self._pairs(root), self.class_names)

    def _pairs(self, root: Path) -> dict[str, tuple[Path, Path]]:
        pairs = {"train": (_file(root, self.images), _file(root, self.labels))}
        if self.test_images is not None and self.test_labels is not None:
            pairs["test"] = (_file(root, self.test_images), _file(root, self.test_labels))
        return pairs


def _file(root: Path, path: str) -> Path:
    return existing(root, path, "an IDX file, raw or gzipped")
