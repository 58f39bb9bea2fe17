"""A run of a sweep: how it is carried out, and what became of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from threading import Event
from typing import TYPE_CHECKING, Literal

from nnpipe.api import Device, Engine, engine_named
from nnpipe.errors import Interrupted, NnpipeError
from nnpipe.stages.work import Observer

if TYPE_CHECKING:
    from nnpipe.pipeline.plan import Plan
    from nnpipe.store.canonical import JSON

Status = Literal["done", "failed", "interrupted", "not run"]


@dataclass(frozen=True)
class Settings:
    """How members run, as for ``nnpipe.run``."""

    engine: Engine = "local"
    device: Device = "auto"
    threads: int | None = None
    checkpoint_every: float = 30.0
    memory: int | None = None


@dataclass(frozen=True)
class Answer:
    """What became of a member; the fields are those of ``run --json``, and how it ended.

    run: the name of its record; None if it was not begun, or its process died.
    error: why it failed, in one line.
    """

    run: str | None = None
    status: Status = "not run"
    metrics: Mapping[str, float] = field(default_factory=dict)
    stages: Sequence[Mapping[str, JSON]] = ()
    report: str | None = None
    seconds: float = 0.0
    error: str | None = None


def carry_out(plan: Plan, settings: Settings, observer: Observer, stopping: Event) -> Answer:
    """Carry out the plan of a member in this process. ``NAME/latest`` stays where it is.

    A failure is an answer, not an exception.
    """
    from nnpipe.pipeline.execute import Execution
    from nnpipe.pipeline.runtime import Runtime

    engine = engine_named("local" if plan.nothing_to_do else settings.engine)
    runtime = Runtime(settings.device, settings.threads, settings.checkpoint_every, memory=settings.memory)
    execution = Execution(plan, runtime, observer, stopping=stopping, latest=False)
    try:
        run = engine(execution)
    except NnpipeError as error:
        stages = [asdict(result) for result in execution.results.values()]
        status: Status = "interrupted" if isinstance(error, Interrupted) else "failed"
        return Answer(execution.name, status, stages=stages, error=error.what)
    told = run.to_json()
    return Answer(run.run, "done", dict(run.metrics), told["stages"], run.report, run.seconds)
