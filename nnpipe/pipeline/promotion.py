"""Promotion: after a run or by hand, through the gate or without; and back. ``NAME/champion`` moves here alone.

A network is judged beside the champion of the moment, and takes its place only if that still is the champion: of two
runs that end at once, the second is judged again, beside the first.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from nnpipe.errors import NnpipeError, StoreError, UsageError
from nnpipe.evaluation.promote import Promote
from nnpipe.pipeline.trained import model_artifact
from nnpipe.pipeline.verdict import Candidate, Verdict, judge
from nnpipe.stages.evaluate import Evaluate
from nnpipe.store.artifact import Artifact
from nnpipe.store.canonical import JSON
from nnpipe.store.champions import LABEL, Champions, Kind
from nnpipe.store.store import Store

if TYPE_CHECKING:
    from nnpipe.pipeline.plan import Plan

READ = ("ingest", "finetune", "evaluate")  # the stages whose artifacts a gate looks at


@dataclass(frozen=True)
class Promotion:
    """What came of a wish to promote.

    champion: the champion now, an artifact id; before: the one that there was. None: there is none.
    reasons: in words.
    verdict: what the gate said; None where it was not asked.
    """

    name: str
    promoted: bool
    champion: str | None
    before: str | None
    reasons: tuple[str, ...]
    verdict: Verdict | None = None

    def to_json(self) -> JSON:
        """The field ``promotion`` of a run."""
        said = self.verdict.to_json() if self.verdict else {"criteria": [], "drift": None}
        return {
            "promoted": self.promoted,
            "champion": self.champion,
            "reasons": list(self.reasons),
            "ref": f"{self.name}/{LABEL}",
            "from": self.before,
            "criteria": said["criteria"],
            "drift": said["drift"],
        }


def promote_run(plan: Plan, artifact: Callable[[str], Artifact], run: str, device: Callable[[], str]) -> Promotion:
    """Ask the gate of a spec that was carried out, and move its champion if it passes. A failure is a reason too.

    artifact: opens what a stage made.
    """
    spec, store = plan.spec, plan.store
    missing = [name for name in READ if name not in {planned.stage.name for planned in plan.stages}]
    try:
        if missing:
            raise UsageError(f"the run ended before {missing[0]}")
        measures = plan["evaluate"].stage.config
        assert isinstance(measures, Evaluate)
        data, model, evaluation = map(artifact, READ)
        candidate = Candidate(spec.name, run, spec.promote, measures, model, data, evaluation, measures.model)
        return promote(store, spec.name, candidate, device)
    except NnpipeError as error:
        champion = store.refs.get(f"{spec.name}/{LABEL}")
        return Promotion(spec.name, False, champion, champion, (f"the gate could not be asked: {error.what}",))


def promote(
    store: Store, name: str, candidate: Candidate, device: Callable[[], str] = lambda: "cpu", reason: str = ""
) -> Promotion:
    """Make the candidate the champion called ``name`` if its gate lets it; what came of it.

    Raises:
        NnpipeError: the gate cannot be asked.
    """
    champions = Champions(store)
    while True:
        before, id_ = champions.current(name), candidate.model.id
        if before == id_:
            return Promotion(name, False, before, before, ("it is the champion already",))
        verdict = judge(store, candidate, before, device)
        if not verdict.passed:
            return Promotion(name, False, before, before, verdict.reasons, verdict)
        told = reason or verdict.decisive
        if champions.move(
            name, id_, expected=before, kind="promotion", run=candidate.run, reason=told, verdict=verdict.to_json()
        ):
            return Promotion(name, True, id_, before, verdict.reasons, verdict)


def force(store: Store, ref: str, name: str | None, reason: str) -> Promotion:
    """Make what ``ref`` means the champion, and ask no gate.

    Raises:
        UsageError: it means no network, or nobody knows whose champion it would be.
    """
    model = model_artifact(store, ref)
    run = run_of(store, ref, model)
    name = name or spec_of(run, ref)
    before = Champions(store).current(name)
    told = reason or "without the gate"
    return _moved(store, name, before, model.id, "forced", run["run"] if run else None, told)


def rollback(store: Store, name: str, reason: str) -> Promotion:
    """Go back to the champion before.

    Raises:
        UsageError: there was none.
        StoreError: it is gone or damaged.
    """
    champions = Champions(store)
    history, line = champions.history(name), champions.line(name)
    if len(line) < 2:
        found = f"{len(line)} champion" if line else "none"
        raise UsageError(
            f"{name} has no champion to go back to", where=store.told, expected="two at least", found=found
        )
    if not store.sound(line[-2]):
        hint = "nnpipe verify --repair, or the run that made it, computes it again"
        raise StoreError("the champion before is gone or damaged", where=str(store.directory(line[-2])), hint=hint)
    run = next((move.run for move in reversed(history) if move.to == line[-2]), None)
    return _moved(store, name, line[-1], line[-2], "rollback", run, reason or "rolled back")


def candidate_of(store: Store, ref: str) -> Candidate:
    """The network that ``ref`` means with the gate of the spec that its run recorded.

    Raises:
        UsageError: it means no network, or no run tells of it.
        StoreError: what its run measured is gone.
    """
    model = model_artifact(store, ref)
    run = run_of(store, ref, model)
    if run is None:
        hint = "nnpipe promote --force --to NAME asks no gate"
        raise UsageError(f"no run tells of {ref}, so nobody knows its gate", where=str(store.runs.root), hint=hint)
    stages = {stage["name"]: stage for stage in run["stages"]}
    records = {name: store.find(stages[name]["key"]) for name in READ if name in stages}
    evaluated = records.get("evaluate")
    if evaluated is None or not all(store.has(stages[name]["artifact"]) for name in READ):
        raise StoreError(
            "what the run measured is gone",
            where=run["run"],
            hint="run its spec again, or promote with --force and no gate",
        )
    data, _, evaluation = (store.artifact(stages[name]["artifact"]) for name in READ)
    try:
        gate = run["whole_spec"].get("promote")
        measures = Evaluate.model_validate(evaluated.recipe["config"])
        gate = None if gate is None else Promote.model_validate(gate)
        return Candidate(run["spec"], run["run"], gate, measures, model, data, evaluation)
    except ValueError as error:
        raise StoreError("another version recorded this run", where=run["run"], found=str(error)) from error


def run_of(store: Store, ref: str, model: Artifact) -> JSON | None:
    """The run that ``ref`` names, or the newest one that came to a network, and measured it if any did."""
    named = store.runs.get(ref)
    if named:
        return named
    found = None
    for run in store.runs.newest_first():
        made = {stage["name"]: stage["artifact"] for stage in run["stages"]}
        if made.get("finetune") == model.id:
            if "evaluate" in made:
                return run
            found = found or run
    return found


def spec_of(run: JSON | None, ref: str) -> str:
    """Whose champion the network of a run would be."""
    if run is None:
        raise UsageError(f"no run tells whose champion {ref} would be", expected="--to NAME")
    return str(run["spec"])


def _moved(store: Store, name: str, before: str | None, to: str, kind: Kind, run: str | None, reason: str) -> Promotion:
    if before == to:
        return Promotion(name, False, before, before, ("it is the champion already",))
    if not Champions(store).move(name, to, expected=before, kind=kind, run=run, reason=reason):
        raise StoreError(f"the champion of {name} moved meanwhile", hint=f"nnpipe champions {name} tells where to")
    return Promotion(name, True, to, before, (reason,))
