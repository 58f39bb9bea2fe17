"""The training examples that are learned from, where there are to be fewer than there are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from nnpipe.errors import StageError

if TYPE_CHECKING:
    import numpy as np

    from nnpipe.store.arrays import ArrayFile
    from nnpipe.store.artifact import Artifact

CHOICE = 4  # purpose of the generator that chooses; see nnpipe.training.seeds


def learned_from(file: ArrayFile, count: int, seed: int) -> tuple[np.ndarray, dict[str, Any]]:
    """The rows of the training examples that are learned from, in order, and the data's attributes for these alone.

    What is told of answers (how many of each class; the mean and deviation of numbers) is of the chosen ones. What is
    told of inputs, which ``data.scaling: standard`` uses, stays that of all: it takes no answers to know it.

    Raises:
        StageError: there are not so many, or fewer than there are classes are wanted.
    """
    import numpy as np

    from nnpipe.datasets.statistics import RunningStatistics

    about = file.attributes()
    answers = file.rows("y_train", 0, file.shape("y_train")[0])
    classes = len(about["class_names"])
    if not max(1, classes) <= count <= len(answers):
        least = f"{classes}, one of each class," if classes else "1"
        raise StageError(
            f"{count} training examples cannot be chosen",
            where="train.examples",
            expected=f"from {least} to the {len(answers)} that there are",
            found=str(count),
        )
    rows = choose(answers, count, seed)
    if classes:
        counts = np.bincount(answers[rows], minlength=classes).tolist()
        return rows, _with_statistics(about, {"class_counts": {**_counts(about), "train": counts}})
    statistics = RunningStatistics(answers.shape[1:])
    statistics.add(answers[rows])
    return rows, _with_statistics(about, {"targets": statistics.to_json()})


def choose(answers: np.ndarray, count: int, seed: int) -> np.ndarray:
    """``count`` rows in order, by chance; of labels as many of each class, but for one, while the classes have them.

    The rows of a smaller count are among those of a larger one. answers: labels, (n,) int64, or numbers, (n, targets).
    """
    import numpy as np
    import torch

    from nnpipe.training.seeds import generator

    order = torch.randperm(len(answers), generator=generator(seed, CHOICE)).numpy()
    if answers.ndim == 1:
        shuffled = answers[order]
        turn = np.empty_like(order)  # of each example, how many of its class come before it
        for label in np.unique(answers):
            here = np.flatnonzero(shuffled == label)
            turn[here] = np.arange(len(here))
        order = order[np.argsort(turn, kind="stable")]
    return np.sort(order[:count])


def learned_counts(model: Artifact) -> Sequence[int] | None:
    """How many examples of each class a network learned from; None where it was all."""
    if "examples.json" not in model.manifest.files:
        return None
    counts: Sequence[int] = model.json("examples")["class_counts"]
    return counts


def _counts(about: Mapping[str, Any]) -> dict[str, Any]:
    return dict(about.get("statistics", {}).get("class_counts", {}))


def _with_statistics(about: Mapping[str, Any], changed: Mapping[str, Any]) -> dict[str, Any]:
    return {**about, "statistics": {**about.get("statistics", {}), **changed}}
