"""A run: what one execution reused and computed, and what came out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Literal

from nnpipe.errors import Interrupted, UsageError
from nnpipe.pipeline.graph import known_stage
from nnpipe.store.artifact import Artifact
from nnpipe.store.canonical import JSON
from nnpipe.store.store import Store

# The metrics that are told in a line: the first three of these that were measured. The others are in the report.
HEADLINE = (
    "test_squared_error", "test_pca_squared_error",
    "test_accuracy", "test_balanced_accuracy",
    "test_r2", "test_mean_absolute_error", "test_root_mean_squared_error", "test_loss",
)  # fmt: skip


@dataclass(frozen=True)
class StageResult:
    """What became of a stage; the fields are those of ``run --json``."""

    name: str
    key: str
    status: Literal["computed", "reused", "resumed"]
    seconds: float
    artifact: str
    content: str


@dataclass(frozen=True)
class Run:
    """The record of one execution.

    metrics: of the evaluation, ``test_accuracy`` and others; empty if it was not reached.
    report: path of the HTML report, or None if it was not reached.
    seconds: from the plan to the end.
    promotion: what the gate said and did, as JSON; None where the spec has none, or the run did not get so far.
    warnings: what went wrong after the run, and changed nothing of it.
    precision: what ``precision: auto`` came to in each field that says so, as JSON.
    """

    run: str
    spec: str
    status: Literal["done", "failed", "interrupted"]
    stages: tuple[StageResult, ...]
    metrics: Mapping[str, float]
    report: str | None
    seconds: float
    store: Store
    promotion: JSON = None
    warnings: tuple[str, ...] = ()
    precision: Sequence[JSON] = ()

    @classmethod
    def of_record(cls, record: JSON, store: Store) -> Run:
        """A run as the store has it."""
        stages = tuple(StageResult(**stage) for stage in record["stages"])
        names = ("run", "spec", "status", "metrics", "report", "seconds")
        told = {name: record[name] for name in names}
        return cls(**told, stages=stages, store=store, precision=record.get("precision", ()))

    def artifact(self, stage: str) -> Artifact:
        """The artifact of a stage, opened for reading."""
        found = {result.name: result for result in self.stages}
        known_stage(stage, found)
        return self.store.artifact(found[stage].artifact)

    @property
    def headline(self) -> dict[str, float]:
        """The few metrics that are told first."""
        known = [name for name in HEADLINE if name in self.metrics]
        return {name: self.metrics[name] for name in known[:3]}

    @property
    def told(self) -> str:
        """In words: ``nothing new: 7 stages reused``, or ``5 computed, 2 reused, test_accuracy 0.9806``."""
        statuses = [stage.status for stage in self.stages]
        if self.status == "done" and set(statuses) == {"reused"}:
            return f"nothing new: {len(statuses)} stage{'s'[: len(statuses) > 1]} reused"
        counts = [f"{statuses.count(status)} {status}" for status in sorted(set(statuses))]
        measures = [f"{name} {value:.4f}" for name, value in self.headline.items()]
        return ", ".join([*([] if self.status == "done" else [self.status]), *counts, *measures]) or "nothing was done"

    def tensors(self) -> Mapping[str, JSON]:
        """The weights of the trained network by name, as numpy arrays."""
        return self.artifact("finetune").tensors("model")[0]

    def to_json(self) -> JSON:
        """The object that ``run --json`` prints."""
        return {
            "run": self.run,
            "spec": self.spec,
            "stages": [asdict(result) for result in self.stages],
            "metrics": dict(self.metrics),
            "report": self.report,
            "seconds": self.seconds,
            "promotion": self.promotion,
            "warnings": list(self.warnings),
            "precision": list(self.precision),
        }

    def _repr_html_(self) -> str:
        from nnpipe.pipeline.cards import run_card

        return run_card(self)


def resolve(store: Store, name: str) -> str:
    """The artifact id that ``name`` means: a ref, a spec's name (its latest), a run (its network), or a beginning.

    Raises:
        UsageError: it means nothing, or several things.
    """
    if name in store.refs:
        return store.refs[name]
    if f"{name}/latest" in store.refs:
        return store.refs[f"{name}/latest"]
    run = store.runs.get(name)
    if run is not None:
        made = {stage["name"]: stage["artifact"] for stage in run["stages"]}
        if "finetune" in made:
            return str(made["finetune"])
    found = [known for known in store.artifacts() if known.startswith(name)] if len(name) >= 4 else []
    if len(found) == 1:
        return found[0]
    from nnpipe.errors import nearest

    what = f"{name!r} is the beginning of {len(found)} artifact ids" if found else f"nothing is called {name!r}"
    raise UsageError(
        what,
        where=store.told,
        expected="a ref, the name of a spec, a run that trained a network, or at least 4 characters of an artifact id",
        hint=nearest(name, store.refs.names()) or "nnpipe ls shows what there is",
    )


def ending(error: BaseException) -> Literal["failed", "interrupted"]:
    """What a run, or a stage, that ended with ``error`` is called."""
    return "interrupted" if isinstance(error, Interrupted | KeyboardInterrupt) else "failed"
