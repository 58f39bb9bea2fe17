"""Carrying out a plan, stage by stage: every engine calls ``Execution.execute`` and nothing else.

A stage is looked for in the store, and computed under its key's lock if it is not there. Stages may be executed from
several threads, each after its inputs.
"""

from __future__ import annotations

import os
import platform
import time
from dataclasses import replace
from datetime import UTC, datetime
from functools import cached_property
from threading import Event
from typing import Literal

from nnpipe.errors import CorruptionError, Interrupted, StageError, StoreError
from nnpipe.pipeline.compute import Computation, Unforeseen
from nnpipe.pipeline.event_log import warn
from nnpipe.pipeline.graph import Stage
from nnpipe.pipeline.hooks import after
from nnpipe.pipeline.plan import Plan, input_contents
from nnpipe.pipeline.promotion import promote_run
from nnpipe.pipeline.recipe import recipe, recipe_key
from nnpipe.pipeline.run import Run, StageResult, ending
from nnpipe.pipeline.runtime import Runtime, environment
from nnpipe.pipeline.tensorboard import event_files
from nnpipe.stages.work import Audience, Observer, Silent
from nnpipe.store.artifact import Artifact
from nnpipe.store.canonical import JSON
from nnpipe.store.record import Record


class Execution:
    """One execution of a plan.

    stopping: set it to stop: stages under way keep a checkpoint and raise Interrupted.
    latest: whether it is the newest state of its spec: if all goes well ``NAME/latest`` moves to its model, its gate is
        asked and its hooks run. Members of a sweep are not.
    run: the run that this is a part of, carried out elsewhere; whoever began it holds its lease and records it.
    whole_spec: what was asked for, as the record tells it.
    traceback: where a stage failed that did not say so in our words.
    """

    def __init__(
        self,
        plan: Plan,
        runtime: Runtime | None = None,
        observer: Observer | None = None,
        *,
        stopping: Event | None = None,
        latest: bool = True,
        run: str | None = None,
    ) -> None:
        self.plan, self.runtime, self.observer = plan, runtime or Runtime(), observer or Silent()
        self.name = run or plan.store.runs.name(plan.spec.name)
        self.stopping, self.latest = stopping or Event(), latest
        self.whole_spec: JSON = plan.spec.model_dump(mode="json")
        self.results: dict[str, StageResult] = {}
        self._records: dict[str, Record] = {}
        self.traceback: str | None = None
        self._started = time.monotonic()
        self._started_at = datetime.now(UTC)
        self._events = event_files(plan, self.runtime, self.name, self.artifact)
        if self._events:
            self.observer = Audience(self.observer, self._events)
        plan.store.prepare()
        plan.store.remember()  # what was measured for the plan: another run shall decide alike
        # A run that only looks things up is over before anything could be collected under its feet.
        self._lasting = run is not None or not plan.nothing_to_do
        self._lease = plan.store.begin(self.name) if self._lasting and run is None else None

    def given(self, name: str, record: Record) -> None:
        """Count as executed what another run found or made, so that stages can read it under ``name``."""
        self._records[name] = record

    def execute(self, name: str) -> StageResult:
        """Find or compute the artifact of a stage whose inputs were executed.

        Raises:
            NnpipeError: it failed; nothing of it is in the store.
            Interrupted: somebody asked to stop; its checkpoint is kept.
        """
        stage, store = self.plan[name].stage, self.plan.store
        began = time.monotonic()
        self.observer.started(name)
        try:
            if self.stopping.is_set():
                raise Interrupted(f"stopped before {name}")
            self._fetch(stage)
            contents = {made_by: self._records[made_by].content for made_by in stage.inputs.values()}
            inputs = input_contents(stage, contents, store, self.plan.root) or {}
            ingredients = recipe(stage, inputs, store.memo)
            key = recipe_key(ingredients)
            record, status = self._obtain(stage, key, ingredients)
        except BaseException as error:
            if isinstance(error, Unforeseen):
                self.traceback = error.traceback
            self.observer.finished(name, ending(error), time.monotonic() - began)
            raise
        seconds = time.monotonic() - began
        self._records[name] = record
        self.results[name] = StageResult(name, key, status, seconds, record.artifact, record.content)
        self.observer.finished(name, status, seconds)
        return self.results[name]

    def accept(self, result: StageResult) -> None:
        """Count a stage as executed that another process executed as a part of this run.

        Raises:
            StageError: what it says it made is not in the store.
        """
        record = self.plan.store.find(result.key)
        if record is None:
            raise StageError(
                f"what {result.name} made elsewhere is not in the store",
                where=self.plan.store.told,
                hint="every worker needs the same store under the same name",
            )
        self._records[result.name], self.results[result.name] = record, result
        self.observer.finished(result.name, result.status, result.seconds)

    def artifact(self, stage: str) -> Artifact:
        """The artifact of a stage that was executed, and how it came about."""
        return self.plan.store.artifact(self._records[stage].artifact, self._records[stage].made)

    def finish(self, error: BaseException | None = None) -> Run:
        """Record the run, and if it is the newest of its spec do what follows from how it went; what came out."""
        plan = self.plan
        run = Run(
            run=self.name,
            spec=plan.spec.name,
            status="done" if error is None else ending(error),
            stages=tuple(self.results[p.stage.name] for p in plan.stages if p.stage.name in self.results),
            metrics=self._summary("evaluate").get("metrics", {}),
            report=self._report(),
            seconds=time.monotonic() - self._started,
            store=plan.store,
            precision=[decision.to_json() for decision in plan.decisions],
        )
        details = {
            "status": run.status,
            "started": self._started_at.isoformat(timespec="seconds"),
            "whole_spec": self.whole_spec,
            "root": str(plan.root.resolve()),
            # Of no account where nothing was computed, and finding it out takes a tenth of such a run's time.
            "environment": self._environment if self._lasting else None,
            "error": None if error is None else str(error),
            "traceback": self.traceback,
        }
        self._recorded(run, details)
        if error is None and self.latest:
            run = self._move_refs(run, details)
        plan.store.remember()
        if self._events:
            self._events.close()
        if self._lease:
            self._lease.release()
        if self.latest and (warnings := after(plan, {**run.to_json(), **details})):
            run = self._recorded(replace(run, warnings=tuple(warnings)), details)
        return run

    # -- one stage -------------------------------------------------------------------------------------------

    def _fetch(self, stage: Stage) -> None:
        if stage.source is not None and stage.source.files(self.plan.root) is None:
            stage.source.fetch(self.plan.root)

    def _obtain(
        self, stage: Stage, key: str, ingredients: JSON
    ) -> tuple[Record, Literal["computed", "reused", "resumed"]]:
        store, forced = self.plan.store, stage.name in self.plan.force
        look_up = store.reuse if self._lasting else store.find
        record = None if forced else look_up(key)
        if record and store.sound(record.artifact):
            return record, "reused"
        with store.lock(key, self.stopping, self._owner, lambda owner: self.observer.waiting(stage.name, owner)):
            record = None if forced else look_up(key)  # somebody else may have computed it meanwhile
            if record and store.sound(record.artifact):
                return record, "reused"
            if record:
                store.quarantine(record.artifact)
            resumed = any(store.workplace(key).glob("checkpoint-*"))
            return self._compute(stage, key, ingredients), "resumed" if resumed else "computed"

    def _compute(self, stage: Stage, key: str, ingredients: JSON) -> Record:
        try:
            return self._computed(stage, key, ingredients)
        except CorruptionError as error:
            # Damage in an input is mended by computing that input again; damage anywhere else is not ours to mend.
            if not self._mend_inputs(stage):
                raise StageError(f"{stage.name} met damaged data", where=error.where, found=error.what) from error
            return self._computed(stage, key, ingredients)

    def _computed(self, stage: Stage, key: str, ingredients: JSON) -> Record:
        return Computation(
            stage=stage,
            key=key,
            ingredients=ingredients,
            inputs=self._inputs(stage),
            plan=self.plan,
            runtime=self.runtime,
            run=self.name,
            environment=self._environment,
            observer=self.observer,
            stopping=self.stopping,
        ).carry_out()

    def _inputs(self, stage: Stage) -> dict[str, Artifact]:
        made = {name: self.artifact(made_by) for name, made_by in stage.inputs.items()}
        return made | {word: self.plan.store.artifact(id_) for word, id_ in stage.given.items()}

    def _mend_inputs(self, stage: Stage) -> bool:
        """Move damaged inputs to quarantine and compute them again; whether there were any."""
        mended = False
        for name in stage.inputs.values():
            try:
                artifact = self.artifact(name)
                for file in artifact.manifest.files:
                    artifact.verify(file)
            except CorruptionError:
                self.plan.store.quarantine(self._records[name].artifact)
                self.execute(name)
                mended = True
        return mended

    @cached_property
    def _environment(self) -> JSON:
        """Asked for once a run: git and the metadata of packages take longer than some stages."""
        return environment(self.plan.root)

    @property
    def _owner(self) -> str:
        return f"run {self.name}, process {os.getpid()} on {platform.node()}"

    # -- when it is over -------------------------------------------------------------------------------------

    def _move_refs(self, run: Run, details: JSON) -> Run:
        """Move ``NAME/latest`` to the model, and ask the gate whether ``NAME/champion`` follows."""
        plan = self.plan
        if "finetune" in self._records:
            ref, model = f"{plan.spec.name}/latest", self._records["finetune"].artifact
            if plan.store.refs.get(ref) != model:
                plan.store.refs[ref] = model
        if plan.spec.promote is None:
            return run
        promotion = promote_run(plan, self.artifact, self.name, self._device).to_json()
        # Once more: the record was there before the champion moved, whatever happens in between.
        return self._recorded(replace(run, promotion=promotion), details)

    def _recorded(self, run: Run, details: JSON) -> Run:
        self.plan.store.runs.put({**run.to_json(), **details})
        return run

    def _device(self) -> str:
        self.runtime.prepare()
        return self.runtime.resolve_device()

    # -- what came out ---------------------------------------------------------------------------------------

    def _summary(self, stage: str) -> dict[str, JSON]:
        return self.artifact(stage).summary if stage in self._records else {}

    def _report(self) -> str | None:
        made = self._records.get("report") or self._records.get("sweep")
        try:
            return str(self.plan.store.bring(made.artifact) / "report.html") if made else None
        except StoreError as error:  # of a shared store, whose report another machine made
            warn(f"the report could not be fetched: {error}")
            return None
