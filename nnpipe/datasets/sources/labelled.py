"""What sources of a user's own examples share: where examples and labels are, for training and perhaps for testing."""

from __future__ import annotations

from pathlib import Path
from typing import Self

from pydantic import Field, model_validator

from nnpipe.datasets.sources.source import ClassNames, Description, Source
from nnpipe.spec import problem


class Labelled(Source):
    """Examples and their labels, whole numbers from 0 to classes - 1, by the names that the user gave them."""

    images: str = Field(description="The examples to train on.")
    labels: str = Field(description="Their labels.")
    test_images: str | None = Field(None, description="The examples to test on.")
    test_labels: str | None = Field(None, description="Their labels.")
    class_names: ClassNames | None = Field(None, description="One a class; left out: the labels' numbers.")

    @model_validator(mode="after")
    def _check_test_examples_come_with_labels(self) -> Self:
        if (self.test_images is None) != (self.test_labels is None):
            missing = "test_images" if self.test_images is None else "test_labels"
            raise problem(f"{missing} is missing", expected="both test_images and test_labels, or neither", found="one")
        return self

    def describe(self, root: Path) -> Description:
        opened = self.open(root, seed=0)  # reads labels, no examples
        return Description(opened.shape, len(opened.class_names), len(opened.target_names))

    def pairs(self) -> dict[str, tuple[str, str]]:
        """Split -> the names of its examples and labels."""
        pairs = {"train": (self.images, self.labels)}
        if self.test_images is not None and self.test_labels is not None:
            pairs["test"] = (self.test_images, self.test_labels)
        return pairs
