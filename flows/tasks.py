"""A plan's execution as tasks of a flow: they run side by side and hand each other references.

Prefect neither caches nor keeps results. What a task returns names an artifact; what is reused, the store alone knows.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from typing import TYPE_CHECKING, Any

from prefect import task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State
from prefect.futures import PrefectFuture, wait
from prefect.states import Cancelled, Failed

from flows.artifacts import Artifacts
from flows.events import tell_promotion
from flows.server_process import WITHOUT
from flows.states import in_our_words, made, over, weightiest
from nnpipe.errors import Interrupted, StageError

if TYPE_CHECKING:
    from nnpipe.pipeline.execute import Execution
    from nnpipe.pipeline.run import Run

OPTIONS: dict[str, Any] = {"persist_result": False, "retries": 0}


class Training:
    """An execution inside a flow; ``carry_out`` is the body of the flow, whoever started it."""

    def __init__(self, execution: Execution) -> None:
        self.execution = execution
        self.run: Run | None = None
        self._errors: list[BaseException] = []
        self._shown = Artifacts(execution)
        # Prefect has a thread for each task, and OpenMP a team for each thread: with more of them than processors it
        # lets them sleep between two sums, which costs a fifth of the speed. Here threads that are idle are used again.
        self._threads = ThreadPoolExecutor(thread_name_prefix="stage")

    def carry_out(self) -> State:
        """Run every stage as a task; the state that the flow ends in. The run is recorded."""
        with self._shown.written(), self._threads:
            return self._carry_out()

    def _carry_out(self) -> State:
        futures: dict[str, PrefectFuture[Any]] = {}
        try:
            for planned in self.execution.plan.stages:
                stage = planned.stage
                inputs = {word: futures[made_by] for word, made_by in stage.inputs.items()}
                futures[stage.name] = self._submit(stage.name, inputs)
            wait(list(futures.values()))
        except BaseException as error:
            # A signal that Prefect or Python raises here; stages under way keep a checkpoint.
            self.execution.stopping.set()
            wait(list(futures.values()))
            self.fail(error)
            raise
        self._check_complete(futures)
        return self._finish()

    def fail(self, error: BaseException) -> None:
        """Note that Prefect, or a signal, ended the run; it is recorded, if it was not yet."""
        if self.run is None:
            self._errors.append(in_our_words(error))
            self._finish()
        elif not isinstance(error, Exception):
            self._errors.append(in_our_words(error))

    def outcome(self) -> Run:
        """The recorded run, or the error that ended it."""
        error = self._error()
        if error is not None:
            raise error
        assert self.run is not None
        return self.run

    def _submit(self, name: str, inputs: dict[str, PrefectFuture[Any]]) -> PrefectFuture[Any]:
        @task(name=name, task_run_name=name, cache_policy=NO_CACHE, **OPTIONS)
        def stage(inputs: dict[str, Any]) -> State:
            """``inputs``: the stage's word for an input -> the result of the stage that made it, as a dict."""
            try:
                # The copy tells whose task it is.
                result = self._threads.submit(copy_context().run, self.execution.execute, name).result()
                self._shown.made(result)
                return made(result)
            except Interrupted as error:
                self._errors.append(error)
                return Cancelled(message=str(error))
            except Exception as error:
                # Returned, because Prefect would pickle an exception that is raised into its results.
                self._errors.append(error)
                return Failed(message=str(error))

        return stage.submit(inputs)

    def _check_complete(self, futures: dict[str, PrefectFuture[Any]]) -> None:
        missing = [name for name in futures if name not in self.execution.results]
        if missing and not self._errors:
            state = futures[missing[0]].state
            self._errors.append(StageError(f"Prefect did not run {missing[0]}", found=str(state), hint=WITHOUT))

    def _finish(self) -> State:
        error = self._error()
        try:
            self.run = self.execution.finish(error)
        except Exception as unrecorded:
            self._errors.append(unrecorded)
            return Failed(message=str(unrecorded))
        self._shown.over(self.run)
        tell_promotion(self.run)
        return over(self.run, error)

    def _error(self) -> BaseException | None:
        return weightiest(self._errors)
