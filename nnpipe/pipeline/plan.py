"""What a run would do, found out without doing it: which stages are reused, computed, resumed. Loads no torch.

But to measure what ``precision: auto`` comes to, where that is asked for and was never measured: see ``precision.py``.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from nnpipe.errors import UsageError
from nnpipe.pipeline.graph import Stage, known_stage, needed_for, stages_of
from nnpipe.pipeline.precision import Decision, Device, decide
from nnpipe.pipeline.recipe import recipe, recipe_key, source_digest
from nnpipe.pipeline.run import resolve
from nnpipe.pipeline.spec import Spec
from nnpipe.store.canonical import JSON
from nnpipe.store.record import Record
from nnpipe.store.store import Store

Status = Literal["reuse", "compute", "resume"]


@dataclass(frozen=True)
class PlannedStage:
    """A stage and what would become of it. ``key`` is None while an input is still to be computed."""

    stage: Stage
    status: Status
    key: str | None
    record: Record | None

    def to_json(self) -> JSON:
        return {
            "name": self.stage.name,
            "key": self.key,
            "status": self.status,
            "seconds": self.record.made.get("seconds") if self.record else None,
            "artifact": self.record.artifact if self.record else None,
            "content": self.record.content if self.record else None,
        }


@dataclass(frozen=True)
class Plan:
    """The stages of a spec in an order in which they can run.

    root: the folder that relative paths in the spec start from.
    force: stages to compute even if they could be reused.
    decisions: what each ``precision: auto`` came to, which stands in its place in ``spec``.
    """

    spec: Spec
    store: Store
    root: Path
    stages: tuple[PlannedStage, ...]
    force: frozenset[str] = frozenset()
    decisions: tuple[Decision, ...] = ()

    def __getitem__(self, name: str) -> PlannedStage:
        return next(planned for planned in self.stages if planned.stage.name == name)

    @property
    def start(self) -> JSON:
        """Where first weights come from: ``from``, a name, and ``artifact``, None where nothing is called so yet.

        None where the spec says nothing of it, or no stage of the plan starts.
        """
        wanted = self.spec.train.start
        starting = next((planned.stage for planned in self.stages if planned.stage.name == "finetune"), None)
        return {"from": wanted.ref, "artifact": starting.given.get("start")} if wanted and starting else None

    @property
    def nothing_to_do(self) -> bool:
        """Whether every stage is reused."""
        return all(planned.status == "reuse" for planned in self.stages)

    def _repr_html_(self) -> str:
        from nnpipe.pipeline.cards import plan_card

        return plan_card(self)


def make_plan(
    spec: Spec,
    store: Store,
    root: Path,
    *,
    until: str | None = None,
    force: Iterable[str] = (),
    device: Device = "auto",
    start: str | None = None,
) -> Plan:
    """Plan a run of ``spec``, up to the stage ``until``.

    device: where it will run, for ``precision: auto``.
    start: the artifact that ``train.start`` means, where it was looked up before: since then a ref may have moved.

    Raises:
        UsageError: ``until`` or ``force`` names no stage of the spec, or the spec starts from what is not there.
    """
    spec, decisions = decide(spec, store, device)
    stages = needed_for(stages_of(spec if start else _begun(spec, store)), until)
    stages = [_located(stage, store, start) for stage in stages]
    for name in force:
        known_stage(name, [stage.name for stage in stages])
    planned: dict[str, PlannedStage] = {}
    for stage in stages:
        planned[stage.name] = _plan_stage(stage, planned, store, root, forced=stage.name in set(force))
    store.remember()
    return Plan(spec, store, root, tuple(planned.values()), frozenset(force), decisions)


def input_contents(stage: Stage, contents: dict[str, str], store: Store, root: Path) -> dict[str, str] | None:
    """The content digest of each input of ``stage``; None while one of them is unknown.

    contents: stage name -> content digest of its artifact, as far as known.
    """
    found = {name: contents[made_by] for name, made_by in stage.inputs.items() if made_by in contents}
    if len(found) < len(stage.inputs):
        return None
    if stage.source is not None:
        files = source_digest(stage.source, root, store.memo)
        if files is None:
            return None
        found["files"] = files
    return found | {word: store.artifact(id_).manifest.content for word, id_ in stage.given.items()}


def _begun(spec: Spec, store: Store) -> Spec:
    """``spec`` as it can begin: without a start where there is none yet and it may be fresh."""
    start = spec.train.start
    if start is None or start.missing == "error" or start.ref in store.refs:
        return spec
    return spec.model_copy(update={"train": spec.train.model_copy(update={"start": None})})


def _located(stage: Stage, store: Store, start: str | None) -> Stage:
    """``stage`` with the ids of what it is given: from now on, a ref may move."""
    found = {}
    for word, name in stage.given.items():
        where = f"train.{word}.from"
        try:
            found[word] = start or resolve(store, name)
        except UsageError as error:
            hint = error.hint or "run the spec that makes it first, with the same store"
            raise UsageError(
                error.what, where=f"{where}, in {error.where}", expected=error.expected, hint=hint
            ) from error
        made_by = store.artifact(found[word]).manifest.stage
        if made_by != "finetune" and not made_by.startswith("pretrain/"):
            raise UsageError(
                f"{name} has no weights to start from",
                where=where,
                expected="a network, or a pretrained layer",
                found=f"what the stage {made_by} made",
            )
    return replace(stage, given=found)


def _plan_stage(
    stage: Stage, planned: dict[str, PlannedStage], store: Store, root: Path, *, forced: bool
) -> PlannedStage:
    contents = {name: p.record.content for name, p in planned.items() if p.record and p.status == "reuse"}
    inputs = input_contents(stage, contents, store, root)
    if inputs is None:
        return PlannedStage(stage, "compute", None, None)
    key = recipe_key(recipe(stage, inputs, store.memo))
    record = None if forced else store.find(key)
    if record and store.sound(record.artifact):
        return PlannedStage(stage, "reuse", key, record)
    under_way = any(store.workplace(key).glob("checkpoint-*"))
    return PlannedStage(stage, "resume" if under_way else "compute", key, None)
