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
    from nnpipe.pipeline.execute import Execution
    from nnpipe.pipeline.plan import Plan
    from nnpipe.pipeline.run import Run
    from nnpipe.pipeline.runtime import Runtime
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

    @property
    def runtime(self) -> Runtime:
        from nnpipe.pipeline.runtime import Runtime

        return Runtime(self.device, self.threads, self.checkpoint_every, memory=self.memory)


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
    engine = engine_named("local" if plan.nothing_to_do else settings.engine)
    execution = begun(plan, settings, observer, stopping)
    try:
        return answer_of(execution, engine(execution))
    except NnpipeError as error:
        return answer_of(execution, error)


def begun(plan: Plan, settings: Settings, observer: Observer, stopping: Event) -> Execution:
    """The execution of a member, whoever carries it out."""
    from nnpipe.pipeline.execute import Execution

    return Execution(plan, settings.runtime, observer, stopping=stopping, latest=False)


def answer_of(execution: Execution, outcome: Run | NnpipeError) -> Answer:
    """What became of a member, given what came out of its execution or ended it."""
    if isinstance(outcome, NnpipeError):
        stages = [asdict(result) for result in execution.results.values()]
        status: Status = "interrupted" if isinstance(outcome, Interrupted) else "failed"
        return Answer(execution.name, status, stages=stages, error=outcome.what)
    told = outcome.to_json()
    return Answer(outcome.run, "done", dict(outcome.metrics), told["stages"], outcome.report, outcome.seconds)
