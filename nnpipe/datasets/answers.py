"""What is told of the answers that belong to examples: how many there are of each class, or how numbers are spread."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping

import numpy as np

from nnpipe.datasets.sources.source import Opened
from nnpipe.datasets.statistics import RunningStatistics
from nnpipe.errors import DataError
from nnpipe.store.canonical import JSON


class Answers(ABC):
    """Answers of one source, taken in split by split.

    dtype, shape: of one answer as it is kept: a label or a row of targets.
    attributes: their names, as attributes of the data.
    """

    dtype: str
    shape: tuple[int, ...]
    attributes: dict[str, JSON]

    @abstractmethod
    def add(self, split: str, answers: np.ndarray) -> None:
        """Take in the next answers of ``split``."""

    @abstractmethod
    def state(self) -> dict[str, np.ndarray]:
        """All that was taken in: what ``resume`` goes on from."""

    @abstractmethod
    def resume(self, state: Mapping[str, np.ndarray]) -> None:
        """Go on from a ``state``."""

    @abstractmethod
    def statistics(self) -> dict[str, JSON]:
        """What is found in them, by its name among the statistics of the data."""

    @abstractmethod
    def check(self, source: str) -> None:
        """Refuse answers from which nothing can be learnt."""


def answers_of(opened: Opened, splits: Iterable[str]) -> Answers:
    """What will take in the answers of ``opened``."""
    return Classes(opened.class_names, splits) if opened.class_names else Targets(opened.target_names)


class Classes(Answers):
    """Labels, whole numbers from 0; ``class_counts``: of each split."""

    dtype, shape = "int64", ()

    def __init__(self, names: tuple[str, ...], splits: Iterable[str]) -> None:
        self._names = names
        self._counts = {split: np.zeros(len(names), np.int64) for split in splits}
        self.attributes = {"class_names": list(names)}

    def add(self, split: str, answers: np.ndarray) -> None:
        self._counts[split] += np.bincount(answers, minlength=len(self._names))

    def state(self) -> dict[str, np.ndarray]:
        return self._counts

    def resume(self, state: Mapping[str, np.ndarray]) -> None:
        for split, counts in state.items():
            self._counts[split][:] = counts

    def statistics(self) -> dict[str, JSON]:
        return {"class_counts": {split: counts.tolist() for split, counts in self._counts.items()}}

    def check(self, source: str) -> None:
        # A class without training examples can be wanted (it may be rare); with a single class nothing can be learnt.
        trained = [name for name, count in zip(self._names, self._counts["train"], strict=True) if count]
        if len(trained) < 2:
            raise DataError(
                "all training examples are of one class",
                where=f"data of source {source}",
                expected=f"examples of at least two classes of {', '.join(self._names)}",
                found=f"class {trained[0]} only",
            )


class Targets(Answers):
    """Numbers; ``targets``: their ``mean``, ``std``, ``min`` and ``max`` over the training examples, and each one's."""

    dtype = "float32"

    def __init__(self, names: tuple[str, ...]) -> None:
        self.shape = (len(names),)
        self._statistics = RunningStatistics(self.shape)
        self.attributes = {"class_names": [], "target_names": list(names)}

    def add(self, split: str, answers: np.ndarray) -> None:
        if split == "train":
            self._statistics.add(answers)

    def state(self) -> dict[str, np.ndarray]:
        return self._statistics.state()

    def resume(self, state: Mapping[str, np.ndarray]) -> None:
        self._statistics.resume(state)

    def statistics(self) -> dict[str, JSON]:
        return {"targets": self._statistics.to_json()}

    def check(self, source: str) -> None:
        found = self._statistics.to_json()
        if not any(found["feature_std"]):
            raise DataError(
                "all training examples have the same targets",
                where=f"data of source {source}",
                expected="numbers that differ from example to example",
                found=f"{found['mean']:g} only",
            )
