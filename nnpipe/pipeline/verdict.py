"""What the gate of a spec says of a network beside the champion: every criterion with its figures, and drift of data.

Where both were measured on the same test examples, their evaluations are compared. A champion that was measured on
others is asked about these first.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from nnpipe.errors import DataError, NnpipeError
from nnpipe.evaluation.promote import Promote
from nnpipe.models.architecture import Model
from nnpipe.pipeline.provenance import provenance
from nnpipe.stages.evaluate import Evaluate
from nnpipe.store.artifact import Artifact
from nnpipe.store.canonical import JSON
from nnpipe.store.store import Store

if TYPE_CHECKING:
    import numpy as np

    from nnpipe.evaluation.gate import Criterion
    from nnpipe.evaluation.said import Said

WEIGHTS = "model.safetensors"
ASKED = 64  # test examples that latency is measured with


@dataclass(frozen=True)
class Candidate:
    """A network that would be champion, and what it is judged by.

    name: of its spec. run: that trained it, or reused it.
    gate: of its spec; None: it has none.
    measures: how it was measured.
    vouched: the architecture of a spec that somebody runs, for layers of their own; None where a record says it.
    """

    name: str
    run: str
    gate: Promote | None
    measures: Evaluate
    model: Artifact
    data: Artifact
    evaluation: Artifact
    vouched: Model | None = None


@dataclass(frozen=True)
class Verdict:
    """What a gate said.

    champion: the artifact that the candidate was compared with; None: there was none.
    drift: of its training data against the champion's; None where there is nothing to compare.
    """

    champion: str | None
    criteria: tuple[Criterion, ...]
    drift: dict[str, Any] | None

    @property
    def passed(self) -> bool:
        """Whether every criterion is met."""
        return all(criterion.passed for criterion in self.criteria)

    @property
    def reasons(self) -> tuple[str, ...]:
        """In words: what was not met, or all that was."""
        first = () if self.champion else ("there was no champion",)
        told = tuple(each.reason for each in self.criteria if each.passed == self.passed)
        return told if not self.passed else (*first, *told) or ("its spec has no gate",)

    @property
    def decisive(self) -> str:
        """The one reason that a list of moves tells."""
        better = (each.reason for each in self.criteria if each.name == "better")
        return next(better, self.reasons[0])

    def to_json(self) -> JSON:
        criteria = [criterion.to_json() for criterion in self.criteria]
        return {"passed": self.passed, "champion": self.champion, "criteria": criteria, "drift": self.drift}


def judge(store: Store, candidate: Candidate, champion: str | None, device: Callable[[], str]) -> Verdict:
    """What the candidate's gate says of it beside ``champion``, an artifact id; None: there is none yet.

    device: where networks are asked, if they have to be.
    """
    before = store.artifact(champion) if champion and store.sound(champion) else None
    criteria = tuple(_criteria(store, candidate, champion, before, device)) if candidate.gate else ()
    return Verdict(champion, criteria, _drift(store, before, candidate.data) if before else None)


def _criteria(
    store: Store, candidate: Candidate, champion: str | None, before: Artifact | None, device: Callable[[], str]
) -> Iterator[Criterion]:
    from nnpipe.evaluation.gate import Criterion, reached, within

    gate, metrics = candidate.gate, candidate.evaluation.summary["metrics"]
    assert gate is not None
    metric = gate.metric_of(metrics)
    if metric not in metrics:
        yield Criterion("metric", False, f"{metric} was not measured, but {', '.join(metrics)}")
    else:
        if gate.required is not None:
            yield reached(metric, metrics[metric], gate.required)
        if champion:
            yield from _beside(store, candidate, before, metric, device)
    if gate.latency_ms is not None:
        yield _latency(candidate, gate.latency_ms)
    if gate.size_mb is not None:
        size = candidate.model.manifest.files[WEIGHTS][0] / 1e6
        yield within("size_mb", f"{WEIGHTS} has", size, gate.size_mb, "MB")


def _beside(
    store: Store, candidate: Candidate, champion: Artifact | None, metric: str, device: Callable[[], str]
) -> Iterator[Criterion]:
    """What the gate says of a candidate beside the champion; what cannot be compared is not better."""
    from nnpipe.evaluation.gate import Criterion

    try:
        if champion is None:
            raise DataError("its artifact is gone or damaged", hint="nnpipe verify --repair computes it again")
        yield from _Pair(store, candidate, champion, metric, device).criteria()
    except NnpipeError as error:
        yield Criterion("better", False, f"the champion cannot be compared with: {_in_a_line(error)}")


class _Pair:
    """A candidate and a champion, asked about the same test examples: those of the candidate's data."""

    def __init__(
        self, store: Store, candidate: Candidate, champion: Artifact, metric: str, device: Callable[[], str]
    ) -> None:
        from nnpipe.stages.hold_out import asked, said_before, truth_of
        from nnpipe.stages.splits import class_counts
        from nnpipe.stages.subset import learned_counts

        assert candidate.gate is not None
        self._gate, self._top_k, self._metric = candidate.gate, candidate.measures.top_k, metric
        with closing(candidate.data.arrays("data")) as file:
            about = file.attributes()
        self._names = tuple(about["class_names"])
        self._truth = truth_of(candidate.data)
        like, loss = candidate.model.tensors("model")[1], None
        if metric == "test_loss":  # evaluations do not keep it example by example
            loss = candidate.measures.loss.resolved(learned_counts(candidate.model) or class_counts(about))

        def before(evaluation: Artifact | None) -> Said | None:
            return said_before(evaluation, self._names) if evaluation and not loss else None

        def now(model: Artifact) -> Said:
            return asked(model, candidate.data, candidate.vouched, device(), like, loss)

        theirs = before(_measured_before(store, champion, candidate.data))
        self._measured = "before" if theirs else "now"
        self._mine, self._theirs = before(candidate.evaluation) or now(candidate.model), theirs or now(champion)
        if self._mine.kind != self._theirs.kind:
            raise DataError(f"it gives {self._theirs.kind}, and this network {self._mine.kind}")

    def criteria(self) -> Iterator[Criterion]:
        """Raises DataError: the networks cannot be compared by the metric."""
        from nnpipe.evaluation.gate import better, no_class_worse
        from nnpipe.evaluation.said import statistic_of

        mine, theirs = (
            statistic_of(self._metric, self._truth, said, self._top_k) for said in (self._mine, self._theirs)
        )
        found = better(self._metric, mine, theirs, len(self._truth), self._gate.by)
        yield replace(found, figures={**found.figures, "champion_measured": self._measured})
        if self._gate.worst_class is not None:
            labels = [_labels(said) for said in (self._mine, self._theirs)]
            yield no_class_worse(self._truth, labels[0], labels[1], self._names, self._gate.worst_class)


def _labels(said: Said) -> np.ndarray:
    if said.labels is None:
        raise DataError("there are no classes to compare", expected="worst_class left out")
    return said.labels


def _measured_before(store: Store, champion: Artifact, data: Artifact) -> Artifact | None:
    """The evaluation of the champion on the test examples of ``data``, if there is one."""
    from nnpipe.stages.hold_out import same_test

    for record in store.records():
        read = record.made.get("inputs", {})
        if record.recipe["stage"] == "evaluate" and read.get("model") == champion.id and store.sound(record.artifact):
            its_data = read.get("data", "")
            if store.has(its_data) and same_test(store.artifact(its_data), data):
                return store.artifact(record.artifact)
    return None


def _latency(candidate: Candidate, most: float) -> Criterion:
    from nnpipe.evaluation.gate import Criterion, within
    from nnpipe.prediction.latency import latency
    from nnpipe.prediction.model import open_model

    with closing(candidate.data.arrays("data")) as file:
        examples = file.rows("X_test", 0, min(ASKED, file.shape("X_test")[0]))
    try:
        seconds, calls = latency(open_model(candidate.model.path(WEIGHTS), candidate.vouched), examples)
    except NnpipeError as error:
        return Criterion("latency_ms", False, f"latency cannot be measured: {_in_a_line(error)}")
    found = within("latency_ms", "one example takes", 1000 * seconds, most, "ms")
    return replace(found, figures={**found.figures, "calls": calls})


def _in_a_line(error: NnpipeError) -> str:
    details = (("expected", error.expected), ("found", error.found), ("hint", error.hint))
    return error.what + "".join(f"; {word}: {detail}" for word, detail in details if detail)


def _drift(store: Store, champion: Artifact, data: Artifact) -> dict[str, Any] | None:
    """None where the data that the champion learned from are gone."""
    before = provenance(store, champion).data
    if before is None:
        return None
    if before.manifest.content == data.manifest.content:
        return {"found": False, "sentence": "the training data are the champion's"}
    from nnpipe.evaluation.drift import drift

    return drift(_described(before), _described(data))


def _described(data: Artifact) -> dict[str, Any]:
    with closing(data.arrays("data")) as file:
        return {**file.attributes(), "examples": file.shape("X_train")[0]}
