"""A stage carried out in another process, perhaps on another machine: what it is told, and what it answers.

It is told names, never tensors or open stores: where the store is, what the spec says, which stage. It plans for itself
and calls ``Execution.execute``, so locks, checkpoints and records are those of any run.
"""

from __future__ import annotations

import time
import traceback
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Event
from typing import Any

from nnpipe.errors import Interrupted, NnpipeError, SpecError, StageError
from nnpipe.pipeline.compute import Unforeseen
from nnpipe.pipeline.event_log import warn
from nnpipe.pipeline.execute import Execution
from nnpipe.pipeline.plan import Plan, make_plan
from nnpipe.pipeline.precision import Decision
from nnpipe.pipeline.run import StageResult
from nnpipe.pipeline.runtime import Runtime
from nnpipe.pipeline.spec import Spec, check_spec
from nnpipe.spec.document import Document
from nnpipe.stages.work import Observer
from nnpipe.store.opening import open_store


@dataclass(frozen=True)
class Order:
    """A stage to be carried out, as a part of a run that somebody else began and records.

    start: the artifact that ``train.start`` meant when the run was planned, where the stage depends on it.
    force: whether to compute it even if it could be reused.
    decisions: what ``precision: auto`` came to; ``spec`` has it in its place.
    """

    run: str
    stage: str
    spec: Mapping[str, Any]
    root: str
    store: str
    runtime: Runtime
    start: str | None = None
    force: bool = False
    decisions: tuple[Decision, ...] = ()


@dataclass(frozen=True)
class Failure:
    """Why there is no result."""

    error: NnpipeError
    seconds: float = 0.0


def order(execution: Execution, stage: str) -> Order:
    """What another process has to know to carry out ``stage``."""
    plan = execution.plan
    return Order(
        run=execution.name,
        stage=stage,
        spec=_settled(plan).model_dump(mode="json"),
        root=str(plan.root.resolve()),
        store=plan.store.place,
        runtime=replace(execution.runtime, log="none"),  # whoever records the run writes its event files
        start=plan.start["artifact"] if plan.start else None,
        force=stage in plan.force,
        decisions=plan.decisions,
    )


def carry_out(order: Order, observer: Observer, stopping: Event) -> StageResult | Failure:
    """Find or compute the artifact of a stage; what comes before it is in the store, or is mended.

    A failure is an answer, not an exception.
    """
    began = time.monotonic()
    try:
        return _execute(order, observer, stopping)
    except Exception as error:
        return Failure(_in_our_words(error), time.monotonic() - began)


def _execute(order: Order, observer: Observer, stopping: Event) -> StageResult:
    if stopping.is_set():
        raise Interrupted(f"stopped before {order.stage}")
    plan = make_plan(
        check_spec(Document("spec", dict(order.spec)), (), Path(order.root)),
        open_store(order.store, warn),
        Path(order.root),
        until=order.stage,
        force=[order.stage] if order.force else [],
        start=order.start,
    )
    plan = replace(plan, decisions=order.decisions)
    execution = Execution(plan, order.runtime, observer, stopping=stopping, latest=False, run=order.run)
    for planned in plan.stages[:-1]:
        if planned.record:
            execution.given(planned.stage.name, planned.record)
        else:
            execution.execute(planned.stage.name)
    return execution.execute(order.stage)


def _settled(plan: Plan) -> Spec:
    """The spec as it was planned: without a start that was not there yet."""
    spec = plan.spec
    if plan.start is None or plan.start["artifact"]:
        return spec
    return spec.model_copy(update={"train": spec.train.model_copy(update={"start": None})})


def _in_our_words(error: Exception) -> NnpipeError:
    """An error that can be sent: one of ours that is made of a text and facts."""
    if isinstance(error, SpecError):
        return StageError(str(error))
    if isinstance(error, NnpipeError):
        return error
    unforeseen = Unforeseen(f"{type(error).__name__}: {error}")
    unforeseen.traceback = "".join(traceback.format_exception(error))
    return unforeseen
