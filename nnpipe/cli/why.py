"""``nnpipe why`` and ``diff``: why a stage would run, or what it was reused from; what sets two runs apart."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nnpipe.cli.options import DEFAULT_STORE, AsJson, Overrides, SpecFile, StorePlace, WhereTo
from nnpipe.cli.plan import start_told
from nnpipe.cli.store import existing_store
from nnpipe.errors import UsageError

if TYPE_CHECKING:
    from nnpipe.pipeline.plan import Plan, PlannedStage
    from nnpipe.store.record import Record
    from nnpipe.store.store import Store

StageName = Annotated[
    str, typer.Argument(metavar="STAGE", help="As nnpipe plan names it: pretrain/1, finetune, ...", show_default=False)
]
RunName = Annotated[
    str, typer.Argument(help="A run, or a spec's name, a ref or an artifact: their newest run.", show_default=False)
]

REASONS = {
    "new": "this store has no {kind} yet",
    "changed": "its recipe is new",
    "gone": "it was computed before, but its artifact is gone",
    "damaged": "it was computed before, but its artifact is damaged",
    "no data": "its data are not here yet: a run fetches them",
}
WOULD = {"reuse": "would be reused", "resume": "would go on from a checkpoint", "compute": "would be computed"}

# -- why -----------------------------------------------------------------------------------------------------


def why(
    spec: SpecFile,
    stage: StageName,
    overrides: Overrides = None,
    store: StorePlace = DEFAULT_STORE,
    device: WhereTo = "auto",
    as_json: AsJson = False,
) -> None:
    """Tell why a stage would be computed, or what it would be reused from."""
    from nnpipe import api
    from nnpipe.cli.text import folded
    from nnpipe.pipeline.graph import known_stage

    planned = api.plan(spec, set=overrides or (), store=store, device=device)
    known_stage(stage, [each.stage.name for each in planned.stages])
    answer = {"spec": planned.spec.name, **_become(planned[stage])}
    causes = set(_causes(planned, stage))
    answer["waits_for"] = [each.stage.name for each in _waited_for(planned, planned[stage])]
    answer["causes"] = [_explained(planned, each) for each in planned.stages if each.stage.name in causes]
    answer["start"] = planned.start if stage == "finetune" else None
    answer["precision"] = [decision.to_json() for decision in planned.decisions]
    told = [*_why_told(answer), *start_told(answer["start"]), *folded(planned.decisions)]
    print(json.dumps(answer) if as_json else "\n".join(told))


def _become(planned: PlannedStage) -> dict[str, Any]:
    described = {"stage": planned.stage.name, "status": planned.status, "key": planned.key}
    return {**described, **_came_about(planned.record)}


def _came_about(record: Record | None) -> dict[str, Any]:
    if record is None:
        return {"artifact": None, "made": None}
    made = {name: record.made.get(name) for name in ("run", "at", "seconds")}
    return {"artifact": record.artifact, "made": made}


def _waited_for(plan: Plan, planned: PlannedStage) -> list[PlannedStage]:
    """The stages that have to be computed before the key of this one is known."""
    return [plan[name] for name in planned.stage.inputs.values() if plan[name].status != "reuse"]


def _causes(plan: Plan, name: str) -> list[str]:
    """Where the need to compute a stage starts: the stages above it, or itself, that wait for none."""
    if plan[name].status == "reuse":
        return []
    waited_for = _waited_for(plan, plan[name])
    return [cause for above in waited_for for cause in _causes(plan, above.stage.name)] or [name]


def _explained(plan: Plan, planned: PlannedStage) -> dict[str, Any]:
    """Why a stage that waits for no other is computed."""
    from nnpipe.pipeline.compare import nearest_recipe
    from nnpipe.pipeline.plan import input_contents
    from nnpipe.pipeline.recipe import recipe

    store, stage = plan.store, planned.stage
    contents = {each.stage.name: each.record.content for each in plan.stages if each.record}
    inputs = input_contents(stage, contents, store, plan.root)
    reason, nearest, differences = "no data", None, []
    if planned.key and inputs is not None:
        reason = _lost(store, planned.key)
        whole = plan.spec.model_dump(mode="json")
        near = None if reason else nearest_recipe(store, recipe(stage, inputs, store.memo), plan.spec.name, whole)
        reason = reason or ("changed" if near else "new")
        if near:
            nearest, differences = {"key": near[0].key, **_came_about(near[0])}, near[1]
    told = [difference.to_json() for difference in differences]
    return {**_become(planned), "reason": reason, "nearest": nearest, "differences": told}


def _lost(store: Store, key: str) -> str:
    if store.find(key):
        return "damaged"
    return "gone" if store.recipe_path(key).exists() else ""


def _why_told(answer: dict[str, Any]) -> list[str]:
    from nnpipe.cli.text import SHORT

    lines = []
    if answer["status"] == "reuse":
        lines = [f"{answer['stage']} would be reused: nothing that determines it has changed"]
        lines += [f"  recipe    {answer['key'][:SHORT]}", f"  artifact  {answer['artifact'][:SHORT]}"]
        lines += [f"  made      {_made(answer['made'])}"]
    elif answer["waits_for"]:
        lines = [
            f"{answer['stage']} would be computed: it reads {', '.join(answer['waits_for'])}, to be computed first"
        ]
    for cause in answer["causes"]:
        why = REASONS[cause["reason"]].format(kind=cause["stage"])
        lines += [f"{cause['stage']} {WOULD[cause['status']]}: {why}"]
        if cause["nearest"]:
            near = cause["nearest"]
            lines += [f"  nearest   recipe {near['key'][:SHORT]}, made {_made(near['made'])}; what differs:"]
        lines += [f"    {difference['text']}" for difference in cause["differences"]]
    return lines


def _made(made: dict[str, Any]) -> str:
    from nnpipe.cli.text import duration, when

    return f"{when(made['at'])} in {duration(made['seconds'])} by run {made['run']}"


# -- diff ----------------------------------------------------------------------------------------------------


def diff(
    a: RunName,
    b: RunName,
    store: StorePlace = DEFAULT_STORE,
    as_json: AsJson = False,
) -> None:
    """Compare two runs: stages, recipes, metrics and environment."""
    opened = existing_store(store)
    one, two = (_newest_run(opened, name) for name in (a, b))
    answer = {
        "a": one["run"],
        "b": two["run"],
        "stages": _stages_compared(opened, one, two),
        "metrics": _metrics_compared(one["metrics"] or {}, two["metrics"] or {}),
        "environment": _environments_compared(one.get("environment"), two.get("environment")),
    }
    print(json.dumps(answer) if as_json else "\n".join(_diff_told(answer)))


def _newest_run(store: Store, name: str) -> dict[str, Any]:
    from nnpipe.pipeline.run import resolve

    run = store.runs.get(name) or next((r for r in store.runs.newest_first() if r["spec"] == name), None)
    if run is None:
        wanted = resolve(store, name)
        made = (r for r in store.runs.newest_first() if any(s["artifact"] == wanted for s in r["stages"]))
        run = next(made, None)
    if run is None:
        raise UsageError(f"no run made {name}", where=store.told, hint="nnpipe ls shows the runs")
    return dict(run)


def _stages_compared(store: Store, one: dict[str, Any], two: dict[str, Any]) -> list[dict[str, Any]]:
    sides = [{stage["name"]: stage for stage in run["stages"]} for run in (one, two)]
    spec = two.get("whole_spec")
    return [_stage_compared(store, name, spec, *(side.get(name) for side in sides)) for name in _either(*sides)]


def _stage_compared(store: Store, name: str, spec: Any, a: Any, b: Any) -> dict[str, Any]:
    """What two stages share at most (``same``: artifact, content or recipe), and what differs between their recipes.

    ``differences`` is None where one run has no such stage, or its recipe is no longer in the store.
    spec: the whole of what the run of ``b`` was made from.
    """
    from nnpipe.pipeline.compare import compare

    shared = {"artifact": "artifact", "content": "content", "key": "recipe"}
    same = next((word for field, word in shared.items() if a and b and a[field] == b[field]), None)
    differences = None
    if a and b:
        records = [store.find(side["key"]) for side in (a, b)]
        if records[0] and records[1]:
            differences = [each.to_json() for each in compare(records[0].recipe, records[1].recipe, spec)]
    shown = [{field: side[field] for field in ("key", "artifact", "content")} if side else None for side in (a, b)]
    return {"name": name, "same": same, "a": shown[0], "b": shown[1], "differences": differences}


def _metrics_compared(a: dict[str, float], b: dict[str, float]) -> dict[str, dict[str, float | None]]:
    return {
        name: {"a": a.get(name), "b": b.get(name), "difference": b[name] - a[name] if name in a and name in b else None}
        for name in _either(a, b)
    }


def _environments_compared(a: Any, b: Any) -> list[dict[str, str | None]]:
    from nnpipe.cli.text import dotted

    one, two = (dict(dotted(side)) if side else {} for side in (a, b))
    differ = [name for name in _either(one, two) if one.get(name) != two.get(name)]
    return [{"name": name, "a": one.get(name), "b": two.get(name)} for name in differ]


def _either(a: dict[str, Any], b: dict[str, Any]) -> list[str]:
    """The keys of both, in the order of the first."""
    return [*a, *(name for name in b if name not in a)]


def _diff_told(answer: dict[str, Any]) -> list[str]:
    from nnpipe.cli.text import measure, table

    lines = [f"a  {answer['a']}", f"b  {answer['b']}", ""]
    for stage in answer["stages"]:
        lines += [f"{stage['name']:<10}  {_sameness(stage)}"]
        lines += [f"  {difference['text']}" for difference in stage["differences"] or ()]
    if answer["metrics"]:
        rows = [
            (name, *("-" if side[word] is None else measure(side[word]) for word in ("a", "b", "difference")))
            for name, side in answer["metrics"].items()
        ]
        lines += ["", *table(("metric", "a", "b", "b - a"), rows, "<>>>")]
    if answer["environment"]:
        rows = [(each["name"], each["a"] or "-", each["b"] or "-") for each in answer["environment"]]
        lines += ["", *table(("environment", "a", "b"), rows, "<<<")]
    return lines


def _sameness(stage: dict[str, Any]) -> str:
    from nnpipe.cli.text import SHORT

    if not (stage["a"] and stage["b"]):
        return "only in a" if stage["a"] else "only in b"
    if stage["same"] == "artifact":
        return f"same artifact {stage['a']['artifact'][:SHORT]}"
    if stage["same"] == "content":
        return f"same content {stage['a']['content'][:SHORT]}"
    told = f"content {stage['a']['content'][:SHORT]} -> {stage['b']['content'][:SHORT]}"
    if stage["same"] == "recipe":
        return f"{told}, though the recipe is the same: see environment"
    return told if stage["differences"] is not None else f"{told}; a recipe is no longer in the store"
