"""How stages and runs end, in Prefect's words and in ours."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

from prefect.client.schemas.objects import State
from prefect.exceptions import TerminationSignal
from prefect.states import Cancelled, Completed, Failed

from flows.server_process import WITHOUT
from nnpipe.errors import Interrupted, NnpipeError

if TYPE_CHECKING:
    from nnpipe.pipeline.run import Run, StageResult


def made(result: StageResult) -> State:
    """The state of a task whose stage was found or computed."""
    artifact = f"artifact {result.artifact[:12]}"
    if result.status == "reused":
        return Completed(name="Cached", message=artifact, data=asdict(result))
    if result.status == "resumed":
        return Completed(name="Resumed", message=f"went on from a checkpoint: {artifact}", data=asdict(result))
    return Completed(message=artifact, data=asdict(result))


def over(run: Run, error: BaseException | None) -> State:
    """The state of a flow run when its run is recorded."""
    if error is None:
        return Completed(message=words(run))
    return (Cancelled if isinstance(error, Interrupted) else Failed)(message=str(error))


def words(run: Run) -> str:
    """What a flow run says of a run that is over."""
    new = any(stage.status != "reused" for stage in run.stages)
    promotion = run.promotion
    moved = [f"{promotion['ref']} {'moved' if promotion['promoted'] else 'stays'}"] if promotion else []
    return ", ".join([run.told, *moved, *([f"report {run.report}"] if run.report and new else [])])


def together(states: list[State]) -> State:
    """The state of a flow of several runs."""
    bad = [state for state in states if not state.is_completed()]
    if len(states) == 1:
        return states[0]
    if not bad:
        return Completed(message=f"{len(states)} runs done")
    ended = Cancelled if all(state.is_cancelled() for state in bad) else Failed
    return ended(message=f"{len(bad)} of {len(states)} runs did not come to their end")


def weightiest(errors: Sequence[BaseException]) -> BaseException | None:
    """The first failure; that others were interrupted says less."""
    return next((error for error in errors if not isinstance(error, Interrupted)), next(iter(errors), None))


def in_our_words(error: BaseException) -> BaseException:
    """What Prefect raised, as an error of ours."""
    if isinstance(error, TerminationSignal):
        return Interrupted("stopped by a signal")
    if isinstance(error, NnpipeError) or not isinstance(error, Exception):
        return error
    what = f"Prefect failed: {type(error).__name__}: {error}"
    renamed = NnpipeError(what, hint=f"finished stages are kept; {WITHOUT}")
    renamed.__cause__ = error
    return renamed
