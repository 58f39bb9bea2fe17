"""A run of several processes: the first carries out the plan, the others join in what can be shared.

The first plans, locks, computes what cannot be shared, writes artifacts and records the run. The others read the same
store and write nothing.
"""

from __future__ import annotations

from dataclasses import replace
from threading import Event
from typing import cast

from nnpipe.errors import Interrupted, StageError
from nnpipe.pipeline.execute import Execution
from nnpipe.pipeline.graph import Stage
from nnpipe.pipeline.local import run_local
from nnpipe.pipeline.plan import Plan
from nnpipe.pipeline.recipe import recipe
from nnpipe.pipeline.run import Run, ending
from nnpipe.pipeline.runtime import Runtime
from nnpipe.stages.finetune import Finetune, learn
from nnpipe.stages.work import Work
from nnpipe.store.canonical import JSON
from nnpipe.store.checkpoints import DiskCheckpoints
from nnpipe.store.output import Output
from nnpipe.training.team import Team


def run_leading(execution: Execution, team: Team) -> Run:
    """What the first process does: the run, by the local engine; the others are told how it ended.

    Raises:
        NnpipeError: as ``run_local``; also where another process failed, or was lost.
    """
    try:
        run = run_local(execution)
    except BaseException as error:
        team.dismiss({"status": ending(error)})
        raise
    team.dismiss({"status": run.status, "run": run.run})
    return run


def run_joining(plan: Plan, runtime: Runtime, team: Team, stopping: Event) -> Run:
    """What the other processes do, until the run is over; what came out, as the first recorded it.

    Raises:
        StageError: the run failed; why, the first process tells.
        Interrupted: it was stopped.
    """
    device = runtime.resolve_device()
    while "stage" in (task := team.next(stopping)):
        try:
            _join(plan, runtime, device, team, task, stopping)
        except Exception:  # the first process was told, and tells it
            continue
    if task["status"] == "interrupted":
        raise Interrupted("the first process was stopped")
    if task["status"] == "failed":
        raise StageError("the first process failed", hint="it tells why")
    return Run.of_record(plan.store.runs.get(task["run"]), plan.store)


def _join(plan: Plan, runtime: Runtime, device: str, team: Team, task: JSON, stopping: Event) -> None:
    with team.together(device):
        runtime.prepare()
        store, stage = plan.store, _decided(plan, task)
        ours = recipe(stage, task["ingredients"]["inputs"], store.memo)
        for ingredient, value in task["ingredients"].items():
            if ours[ingredient] != value:
                raise StageError(
                    f"another {ingredient} of stage {stage.name} than that of the first process",
                    expected=str(value),
                    found=str(ours[ingredient]),
                    hint="all processes need the same code and the same spec",
                )
        workplace = store.workplace(task["key"])
        work = Work(
            stage=stage.name,
            inputs={name: store.artifact(id_) for name, id_ in task["inputs"].items()},
            output=Output(workplace),  # nothing is written
            seed=stage.seed,
            root=plan.root,
            checkpoints=DiskCheckpoints(workplace, runtime.checkpoint_interval),
            device=device,
            memory=runtime.resolve_memory(device),
            stopping=stopping,
        )
        learn(cast(Finetune, stage.config), work, team)


def _decided(plan: Plan, task: JSON) -> Stage:
    """The stage of a task. The first process decides what ``precision: auto`` comes to: each measures otherwise."""
    stage = plan[task["stage"]].stage
    if not any(decision.field == "train.precision" for decision in plan.decisions):
        return stage
    config = cast(Finetune, stage.config)
    train = config.train.model_copy(update={"precision": task["ingredients"]["config"]["train"]["precision"]})
    return replace(stage, config=config.model_copy(update={"train": train}))
