"""What a network says of examples, in the form in which two networks can be compared, and measures of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from nnpipe.errors import DataError
from nnpipe.evaluation.bootstrap import Statistic
from nnpipe.evaluation.classification import Scores
from nnpipe.evaluation.resampling import ClassificationStatistic, RegressionStatistic

BY_RECALL = ("test_accuracy", "test_balanced_accuracy")  # asked of labels only, each wrong one as wrong as another
UNKNOWN = -1  # the label of a class that is not among those of the data


@dataclass(frozen=True)
class Said:
    """Of n examples; what does not belong to the kind of network is None.

    class_names: of the labels and the columns of scores. labels: (n,) int64. scores: (n, classes); ``form`` says what
    they are. values: (n, targets), numbers in the data's units. errors: (n,), squared errors of inputs that are given
    back. losses: (n,), None where nobody asked for them.
    """

    class_names: tuple[str, ...] = ()
    labels: np.ndarray | None = None
    scores: np.ndarray | None = None
    form: Scores = "distribution"
    values: np.ndarray | None = None
    errors: np.ndarray | None = None
    losses: np.ndarray | None = None

    @property
    def kind(self) -> Literal["classes", "numbers", "inputs"]:
        """What the network gives."""
        return "classes" if self.labels is not None else "numbers" if self.values is not None else "inputs"

    def among(self, names: Sequence[str]) -> Said:
        """The same in classes called ``names``. Scores are lost where the network does not know one of these."""
        if self.labels is None or self.scores is None or tuple(names) == self.class_names:
            return self
        places = {name: place for place, name in enumerate(names)}
        label_of = np.array([places.get(name, UNKNOWN) for name in self.class_names])
        known, same = set(names) <= set(self.class_names), set(names) == set(self.class_names)
        return replace(
            self,
            class_names=tuple(names),
            labels=label_of[self.labels],
            scores=self.scores[:, [self.class_names.index(name) for name in names]] if known else None,
            form=self.form if same or self.form == "margins" else "probabilities",
        )


def statistic_of(metric: str, truth: np.ndarray, said: Said, top_k: int) -> Statistic:
    """``metric`` as a function of how often each example counts, (1,).

    truth: (n,) labels of the classes of ``said``, or (n, targets) numbers; not looked at for inputs given back.

    Raises:
        DataError: it cannot be measured of this network.
    """
    losses = np.zeros(len(truth)) if said.losses is None else said.losses.astype(np.float64)
    if said.kind == "inputs" or metric == "test_loss":
        column = losses if metric == "test_loss" or said.errors is None else said.errors.astype(np.float64)
        return lambda counts: np.array([counts @ column / counts.sum()])
    if said.values is not None:
        numbers, place = RegressionStatistic(truth, said.values, losses), RegressionStatistic.names.index(metric)
        return lambda counts: numbers(counts)[place : place + 1]
    return _of_classes(metric, truth, said, losses, top_k)


def _of_classes(metric: str, truth: np.ndarray, said: Said, losses: np.ndarray, top_k: int) -> Statistic:
    assert said.labels is not None
    labels, scores, count = said.labels, said.scores, len(said.class_names)
    if metric not in BY_RECALL and (scores is None or (labels == UNKNOWN).any()):
        raise DataError(
            f"the networks cannot be compared by {metric}: one of them knows other classes",
            expected=" or ".join(BY_RECALL),
        )
    if (metric == "test_log_loss" and said.form != "distribution") or (
        metric in ("test_brier_score", "test_calibration_error") and said.form == "margins"
    ):
        raise DataError(f"{metric} needs probabilities, and a network gives {said.form}")
    wrong = np.where(labels == UNKNOWN, (truth + 1) % count, labels)
    given = np.zeros((len(truth), count), np.float32) if scores is None else scores
    statistic = ClassificationStatistic(truth, given, wrong, losses, [metric], top_k)
    if not statistic.names:
        raise DataError(f"there are too many scores to compare networks by {metric}", expected="another metric")
    return statistic
