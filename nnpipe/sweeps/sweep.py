"""The Python interface of sweeps: every combination of a spec's ``matrix`` as a run, and a table of what came out."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import asdict, dataclass
from threading import Event
from typing import TYPE_CHECKING

from nnpipe.api import Device, Engine, check_engine, known, open_store
from nnpipe.errors import Interrupted, StageError, UsageError, nearest
from nnpipe.pipeline import sweep as pipeline
from nnpipe.pipeline.execute import Execution
from nnpipe.pipeline.given import assignments, document_of
from nnpipe.pipeline.graph import NO_RECIPE, Stage
from nnpipe.pipeline.plan import Plan, PlannedStage
from nnpipe.pipeline.runtime import Runtime, workers_and_threads
from nnpipe.pipeline.signals import stopped_by_signals
from nnpipe.pipeline.sweep import Family, Member
from nnpipe.stages.sweep import Outcome, SweepReport, evaluation_of, network_of, report_of, template_digest
from nnpipe.stages.sweep_table import Row, short_names, table, to_csv, told_measures
from nnpipe.stages.work import Silent
from nnpipe.store.store import Store
from nnpipe.sweeps.member import Answer, Settings
from nnpipe.sweeps.members import Members, Watch
from nnpipe.training.team import started_together

if TYPE_CHECKING:
    from nnpipe.pipeline.given import Overrides, SpecLike
    from nnpipe.store.canonical import JSON

LABEL = "sweep"  # of the ref
READ = {
    "evaluate": evaluation_of,
    "finetune": network_of,
    "report": report_of,
}  # stage of a run -> the word that the sweep has for it


@dataclass(frozen=True)
class Sweep:
    """What came out of a sweep.

    sweep: the name of its record.
    runs: each combination and what became of it, the last axis running fastest.
    rows: the table: one row a combination of the axes other than ``seed``.
    report: path of the HTML report; None if a run was not begun, or none came to its end.
    """

    sweep: str
    spec: str
    runs: tuple[tuple[Member, Answer], ...]
    rows: tuple[Row, ...]
    report: str | None
    seconds: float

    @property
    def failed(self) -> list[tuple[Member, Answer]]:
        """The runs that did not come to their end."""
        return [(member, answer) for member, answer in self.runs if answer.status != "done"]

    def _repr_html_(self) -> str:
        from nnpipe.card import Table, card
        from nnpipe.spec.words import words

        rows = [(*map(words, row.values.values()), *map(str, row.measures.values())) for row in self.rows]
        header = (*short_names(list(self.rows[0].values)).values(), *self.rows[0].measures) if self.rows else ()
        failed = [(member.told, answer.status, answer.error) for member, answer in self.failed]
        return card(
            self.sweep,
            f"sweep of {self.spec}, {len(self.runs)} runs",
            tables=[Table(header, rows), Table(("combination", "status", "error"), failed)],
            report=self.report,
        )

    def to_csv(self) -> str:
        """The table as CSV: a column for each axis, then mean, standard deviation and n of each measure."""
        return to_csv(self.rows)

    def to_json(self) -> JSON:
        """The object that ``sweep --json`` prints."""
        return {
            "sweep": self.sweep,
            "spec": self.spec,
            "runs": [
                {"overrides": dict(member.overrides), **asdict(answer), "stages": list(answer.stages)}
                for member, answer in self.runs
            ],
            "table": [row.to_json() for row in self.rows],
            "report": self.report,
            "seconds": self.seconds,
        }


def sweep(
    spec: SpecLike,
    *,
    set: Overrides = (),  # noqa: A002 - as --set
    store: str | os.PathLike[str] | None = None,
    metrics: Iterable[str] = (),
    jobs: int | None = None,
    fail_fast: bool = False,
    engine: Engine = "local",
    device: Device = "auto",
    threads: int | None = None,
    checkpoint_every: float = 30.0,
    memory: int | None = None,
    watch: Watch | None = None,
    root: str | os.PathLike[str] | None = None,
    address: str | None = None,
) -> Sweep:
    """Run every combination of a spec's ``matrix``; ``NAME/sweep`` then points at the report.

    >>> sweep("specs/digits.yaml", set={"matrix.seed": [0, 1, 2]}).rows[0].measures["test_accuracy"].mean

    spec, set, store, root: as for ``nnpipe.plan``; ``set`` holds for all, ``matrix.KEY`` sets the values of an axis.
    metrics: what is in the table; by default test_accuracy and test_loss, or all there are if these are not there.
    jobs: how many runs at a time, each in a process of its own if it is more than one; by default one. With the engine
        dask, how many workers are started here; by default as many as there are runs, or processors for ``threads``.
    fail_fast: whether a run that fails ends the sweep. Otherwise the others go on, and ``Sweep.failed`` has it.
    engine, device, checkpoint_every, memory: as for ``nnpipe.execute``.
    threads: of each run; by default torch's own choice, or with several jobs an equal share of the processors.
    watch: is told which run begins, and gives its observer; from several threads if there are several jobs.
    address: of a Dask scheduler whose workers are used, in place of ``jobs``.

    Raises:
        SpecError: the spec, its matrix or a combination is wrong; nothing was run.
        UsageError: a call that cannot be meant, or a metric that no run has.
        Interrupted: it was asked to stop; the same call goes on from there.
    """
    known("device", device, ("auto", "cpu", "cuda"))
    check_engine(engine, address, jobs if engine == "dask" else None)
    if jobs is not None and jobs < 1:
        raise UsageError(f"{jobs} jobs", expected="at least 1", found=str(jobs))
    if (processes := started_together()) > 1:
        hint = "nnpipe run trains in several processes; --jobs carries out several runs at a time"
        raise UsageError("a sweep is begun by one process", expected="1", found=f"{processes}, by torchrun", hint=hint)
    family = read_family(spec, set=set, root=root)
    at_once = len(family.members) if engine == "dask" else 1
    workers, threads = (1, threads) if address else workers_and_threads(jobs, threads, at_once)
    settings = Settings(engine, device, threads, checkpoint_every, memory)
    # The record is begun before the runs: it holds a lease, so what they make stays until the report refers to it.
    execution = _begun(family, open_store(store))
    silent: Watch = lambda *_: nullcontext(Silent())  # noqa: E731
    members = Members(family, execution.plan.store, settings, watch or silent, execution.stopping, fail_fast=fail_fast)
    try:
        with _stoppable(execution.stopping):
            if engine == "dask":
                members.on_cluster(execution.name, address, workers)
            elif workers == 1:
                members.one_by_one()
            else:
                members.side_by_side(min(workers, len(members.answers)))
        rows, names = _table(family, members.answers, tuple(metrics))
        if members.ended and names:
            _report(execution, family, members.answers, names)
    except BaseException as error:
        execution.finish(error)
        raise
    failures = sum(answer.status != "done" for answer in members.answers)
    run = execution.finish(StageError(f"{failures} of {len(members.answers)} runs failed") if failures else None)
    runs = tuple(zip(family.members, members.answers, strict=True))
    return Sweep(run.run, run.spec, runs, tuple(rows), run.report, run.seconds)


def read_family(
    spec: SpecLike,
    set: Overrides = (),  # noqa: A002
    root: str | os.PathLike[str] | None = None,
) -> Family:
    """Read a spec with a ``matrix`` and check every combination, as ``nnpipe.read_spec`` checks a single spec.

    Raises:
        SpecError: one problem for each mistake, with the combination it belongs to.
        UsageError: an override cannot be applied.
    """
    document, folder = document_of(spec, root)
    return pipeline.read_family(document, assignments(set), folder)


@contextmanager
def _stoppable(stopping: Event) -> Iterator[None]:
    with stopped_by_signals(stopping):
        yield
    if stopping.is_set():
        raise Interrupted("interrupted", hint="run it again: it goes on from there")


def _table(family: Family, answers: list[Answer], chosen: tuple[str, ...]) -> tuple[list[Row], tuple[str, ...]]:
    """The table and the measures in it; no measures if no run has any."""
    measures = [answer.metrics for answer in answers]
    there = {name for each in measures for name in each}
    for name in chosen if there else ():
        if name not in there:
            hint = nearest(name, there)
            raise UsageError(f"no run measures {name!r}", expected="a measure of the evaluation", found=name, hint=hint)
    names = tuple(dict.fromkeys(chosen)) or told_measures(measures)
    values = (member.values for member in family.members)
    return table(zip(values, measures, strict=True), names), names if there else ()


# -- the report ----------------------------------------------------------------------------------------------


def _begun(family: Family, store: Store) -> Execution:
    execution = Execution(_plan(family, store, [], ()), Runtime("cpu"), latest=False)
    execution.whole_spec = family.document
    return execution


def _report(execution: Execution, family: Family, answers: list[Answer], metrics: tuple[str, ...]) -> None:
    """Find or make the report of all runs, and let ``NAME/sweep`` point at it."""
    store = execution.plan.store
    execution.plan = _plan(family, store, answers, metrics)
    for number, answer in enumerate(answers, start=1):
        for stage in answer.stages if answer.status == "done" else ():
            if stage["name"] in READ:
                record = store.find(stage["key"])
                if record is None:
                    what = f"what run {number} made is gone: {stage['name']}"
                    raise StageError(what, where=store.told, hint="run it again: it is computed again")
                execution.given(_made_by(number, stage["name"]), record)
    made = execution.execute("sweep")
    ref = f"{family.name}/{LABEL}"
    if ref not in store.refs or store.refs[ref] != made.artifact:
        store.refs[ref] = made.artifact


def _plan(family: Family, store: Store, answers: list[Answer], metrics: tuple[str, ...]) -> Plan:
    """The one stage that reads what the runs made."""
    outcomes = zip(family.members, answers, strict=False)
    config = SweepReport(
        name=family.name,
        description=family.members[0].spec.description,
        spec={key: value for key, value in family.document.items() if key not in NO_RECIPE},
        axes=family.axes,
        runs=tuple(Outcome(values=tuple(m.values[axis] for axis in family.axes), failed=a.error) for m, a in outcomes),
        metrics=metrics,
        template=template_digest(),
    )
    done = [number for number, answer in enumerate(answers, start=1) if answer.status == "done"]
    inputs = {word(number): _made_by(number, name) for number in done for name, word in READ.items()}
    stage = Stage("sweep", "nnpipe.stages.sweep:sweep", config, inputs, seed=0)
    return Plan(family.members[0].spec, store, family.root, (PlannedStage(stage, "compute", None, None),))


def _made_by(number: int, stage: str) -> str:
    return f"run-{number}/{stage}"
