"""The Python interface: read a spec, plan it, execute the plan. The command line calls nothing else to run a spec.

A plan with nothing to do is carried out without torch and without Prefect, whatever the engine.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING, Literal

from nnpipe.errors import Interrupted, UsageError, nearest

if TYPE_CHECKING:
    from nnpipe.pipeline.execute import Execution
    from nnpipe.pipeline.given import Overrides, SpecLike
    from nnpipe.pipeline.plan import Plan
    from nnpipe.pipeline.run import Run
    from nnpipe.pipeline.spec import Spec
    from nnpipe.prediction.model import TrainedModel
    from nnpipe.stages.work import Observer
    from nnpipe.store.store import Store

Engine = Literal["prefect", "local", "dask"]
ENGINES = ("prefect", "local", "dask")
Device = Literal["auto", "cpu", "cuda"]
Log = Literal["tensorboard", "none"]
LogFormat = Literal["text", "json"]

STORE = "artifacts"
STORE_VARIABLE = "NNPIPE_STORE"


def run(
    spec: SpecLike,
    *,
    set: Overrides = (),  # noqa: A002 - as --set
    store: str | os.PathLike[str] | None = None,
    until: str | None = None,
    force: Iterable[str] = (),
    engine: Engine = "prefect",
    device: Device = "auto",
    threads: int | None = None,
    checkpoint_every: float = 30.0,
    log: Log | None = None,
    memory: int | None = None,
    observer: Observer | None = None,
    root: str | os.PathLike[str] | None = None,
    jobs: int | None = None,
    address: str | None = None,
) -> Run:
    """Compute what a spec says and was never computed before; reuse the rest.

    >>> run("specs/digits.yaml", set={"train.epochs": 3}, engine="local").metrics["test_accuracy"]

    See ``plan`` and ``execute`` for the arguments and for what is raised.
    """
    planned = plan(spec, set=set, store=store, until=until, force=force, device=device, root=root)
    return execute(
        planned,
        engine=engine,
        device=device,
        threads=threads,
        checkpoint_every=checkpoint_every,
        log=log,
        memory=memory,
        observer=observer,
        jobs=jobs,
        address=address,
    )


def plan(
    spec: SpecLike,
    *,
    set: Overrides = (),  # noqa: A002
    store: str | os.PathLike[str] | None = None,
    until: str | None = None,
    force: Iterable[str] = (),
    device: Device = "auto",
    root: str | os.PathLike[str] | None = None,
) -> Plan:
    """Which stages of a spec would be reused, resumed and computed. Nothing is computed, torch is not loaded.

    But where ``precision: auto`` asks for a measurement that the store does not have yet: that takes a second.

    spec, set, root: as for ``read_spec``.
    store: the folder of artifacts; by default ``$NNPIPE_STORE``, or else ``artifacts``.
    until: the last stage wanted; what it does not need is left out.
    force: stages to compute even if they could be reused.
    device: where it is to run; only what ``precision: auto`` comes to depends on it.

    Raises:
        SpecError: the spec is wrong.
        UsageError: an override cannot be applied, or there is no such stage or device.
        StoreError: the store cannot be read.
    """
    from nnpipe.pipeline.given import spec_of
    from nnpipe.pipeline.plan import make_plan

    known("device", device, ("auto", "cpu", "cuda"))
    checked, folder = spec_of(spec, set, root)
    return make_plan(checked, open_store(store), folder, until=until, force=list(force), device=device)


def load_model(model: str | os.PathLike[str], *, store: str | os.PathLike[str] | None = None) -> TrainedModel:
    """A trained network to be asked: a file that was exported, or what a store calls so.

    >>> load_model("digits/latest").predict(images)  # (n, classes) probabilities, of raw values

    model: a path, or a ref, a run or an artifact id of ``store``, by default ``$NNPIPE_STORE`` or else ``artifacts``.

    Raises:
        UsageError: there is no such file, ref or format.
        DataError: the file is damaged, or would run something.
    """
    if Path(model).is_file():
        from nnpipe.prediction.model import open_model

        return open_model(Path(model))
    from nnpipe.pipeline.trained import stored_model

    return stored_model(open_store(store), os.fspath(model))


def execute(
    plan: Plan,
    *,
    engine: Engine = "prefect",
    device: Device = "auto",
    threads: int | None = None,
    checkpoint_every: float = 30.0,
    log: Log | None = None,
    memory: int | None = None,
    observer: Observer | None = None,
    jobs: int | None = None,
    address: str | None = None,
) -> Run:
    """Carry out a plan. Of several processes that torchrun started, all call this; see docs/distributed-training.md.

    SIGINT and SIGTERM, where this is called from the main thread, end it with a checkpoint; a second SIGINT ends it
    at once. The handlers that were there before come back afterwards.

    threads: for torch on a CPU, of all processes of a machine that work together; None leaves it to torch.
    checkpoint_every: seconds between checkpoints of a stage under way.
    log: ``tensorboard`` writes event files of this run, ``none`` writes none; None leaves it to the spec.
    memory: bytes that the training, validation or test examples may take; what is larger is read from its file while it
        is used, with the same result. None: a quarter of what is free when a stage begins.
    observer: is told how stages come along.
    jobs: how many workers the engine dask starts on this machine, each with its share of the processors; left out, one
        for each ``threads`` processors, or a single one.
    address: of a Dask scheduler whose workers are used instead.

    Raises:
        NnpipeError: a stage failed, or no scheduler answers.
        UsageError: event files are wanted, and the package tensorboard is not there.
        Interrupted: it was asked to stop; the same call goes on from there.
    """
    from nnpipe.pipeline.execute import Execution
    from nnpipe.pipeline.runtime import Runtime, workers_and_threads
    from nnpipe.pipeline.signals import stopped_by_signals
    from nnpipe.pipeline.together import run_joining, run_leading
    from nnpipe.training.team import team_of_this_process

    known("device", device, ("auto", "cpu", "cuda"))
    check_engine(engine, address, jobs)
    if log is not None:
        known("log", log, ("tensorboard", "none"))
    workers = 1
    if engine == "dask" and address is None:
        workers, threads = workers_and_threads(jobs, threads, at_once=len(plan.stages) if threads else 1)
    team, stopping = team_of_this_process(), Event()
    runtime = Runtime(device, threads, checkpoint_every, log, memory, team)
    carry_out = engine_named("local" if plan.nothing_to_do or team else engine, address, workers)
    with stopped_by_signals(stopping):
        try:
            if team and not team.leads:
                return run_joining(plan, runtime, team, stopping)
            execution = Execution(plan, runtime, observer, stopping=stopping)
            return run_leading(execution, team) if team else carry_out(execution)
        except Interrupted as error:
            raise Interrupted("interrupted", where=error.where, hint="run it again: it goes on from there") from error


def read_spec(
    spec: SpecLike,
    set: Overrides = (),  # noqa: A002
    root: str | os.PathLike[str] | None = None,
) -> Spec:
    """Read and check a spec: every field, every shape.

    spec: the path of a YAML file, a mapping of the same form, or a ``Spec``.
    set: overrides, ``{"train.epochs": 3}`` or ``["train.epochs=3"]``.
    root: the folder that relative paths in it start from; by default the file's, or the current one.

    Raises:
        SpecError: with one problem for each mistake.
        UsageError: an override cannot be applied.
    """
    from nnpipe.pipeline.given import spec_of

    return spec_of(spec, set, root)[0]


def open_store(store: str | os.PathLike[str] | None = None) -> Store:
    """The store at a folder or a URL; by default at ``$NNPIPE_STORE``, or else at ``artifacts``. Writes nothing."""
    from nnpipe.store.opening import open_store as opened

    return opened(store or os.environ.get(STORE_VARIABLE) or STORE, _tell)


def _tell(line: str) -> None:
    from nnpipe.pipeline.event_log import warn

    warn(line)


def known(what: str, name: str, names: tuple[str, ...]) -> None:
    """Refuse a name that is none of ``names``."""
    if name not in names:
        raise UsageError(f"no {what} {name!r}", expected="one of " + ", ".join(names), hint=nearest(name, names))


def check_engine(engine: str, address: str | None, jobs: int | None) -> None:
    """Refuse an engine that is none or is not installed, and options that only another one has.

    jobs: where it only says how many workers Dask starts.
    """
    known("engine", engine, ENGINES)
    if engine == "dask":
        from flows.cluster import check_dask

        check_dask()
    if address is not None and engine != "dask":
        raise UsageError("--address is for Dask", expected="--engine dask", found=f"--engine {engine}")
    if jobs is not None and (engine != "dask" or address is not None):
        found = "--address, whose workers are there already" if engine == "dask" else f"--engine {engine}"
        raise UsageError("--jobs is for workers that Dask starts here", expected="--engine dask", found=found)


def engine_named(name: Engine, address: str | None = None, workers: int = 1) -> Callable[[Execution], Run]:
    """What carries out an execution; Prefect and Dask are imported only if they are wanted."""
    if name == "local":
        from nnpipe.pipeline.local import run_local

        return run_local
    if find_spec("prefect") is None:
        raise UsageError("Prefect is not installed", expected="the package prefect", hint="--engine local needs none")
    if name == "dask":
        from flows.dask_engine import run_dask

        return partial(run_dask, address=address, workers=workers)
    from flows.engine import run_early

    return run_early
