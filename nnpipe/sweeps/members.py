"""The runs of a sweep, one after another or side by side; what they share is in the store, and is computed once."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import AbstractContextManager, ExitStack
from threading import Event
from typing import TYPE_CHECKING

from nnpipe.errors import NnpipeError
from nnpipe.pipeline.event_log import warn
from nnpipe.pipeline.execute import Execution
from nnpipe.pipeline.plan import Plan, make_plan
from nnpipe.pipeline.run import Run
from nnpipe.pipeline.sweep import Family, Member
from nnpipe.stages.work import Observer
from nnpipe.store.opening import open_store
from nnpipe.store.store import Store
from nnpipe.sweeps.member import Answer, Settings, answer_of, begun, carry_out

if TYPE_CHECKING:
    from nnpipe.sweeps.worker import Worker

# Called with the number (from 1) of a run that begins, what it is and its plan; gives its observer.
Watch = Callable[[int, Member, Plan], AbstractContextManager[Observer]]

POLL = 0.1  # seconds between two looks at whether to stop


class Members:
    """The runs of a family under way.

    answers: what became of each.
    stopping: set it to stop; runs under way keep a checkpoint.
    """

    def __init__(
        self, family: Family, store: Store, settings: Settings, watch: Watch, stopping: Event, *, fail_fast: bool
    ) -> None:
        self.answers = [Answer() for _ in family.members]
        self.stopping = stopping
        self._family, self._store, self._settings, self._watch = family, store, settings, watch
        self._fail_fast, self._failed = fail_fast, Event()
        self._workers: list[Worker] = []

    @property
    def ended(self) -> bool:
        """Whether each run came to an end, good or bad, of its own."""
        return all(answer.status in ("done", "failed") for answer in self.answers)

    def one_by_one(self) -> None:
        """Carry them out in this process, in order."""
        for number in range(1, len(self.answers) + 1):
            if self._ending:
                return
            self._run(number, self._here)

    def side_by_side(self, jobs: int) -> None:
        """Keep ``jobs`` other processes busy. One that dies fails its run, and another takes its place."""
        numbers = iter(range(1, len(self.answers) + 1))
        with ThreadPoolExecutor(jobs) as pool:
            futures = [pool.submit(self._keep_busy, numbers) for _ in range(jobs)]
            try:
                while wait(futures, POLL).not_done:
                    if self._ending:
                        for worker in list(self._workers):
                            worker.stop()
            except BaseException:  # asked once more to stop, at once
                self.stopping.set()
                for worker in list(self._workers):
                    worker.kill()
                raise
        for future in futures:
            future.result()

    def on_cluster(self, name: str, address: str | None, workers: int) -> None:
        """Carry them out on a Dask cluster: a stage that several need is one task.

        name: of the whole, as Prefect shows it.
        address: of a scheduler; without one so many ``workers`` are started here.
        """
        with ExitStack() as watched:
            executions = dict(self._begin(watched))
            if not executions:
                return
            from flows.dask_engine import run_fleet

            outcomes = run_fleet(
                list(executions.values()),
                name,
                address=address,
                workers=min(workers, len(executions)),
                stopping=self.stopping,
                fail_fast=self._fail_fast,
            )
        for (number, execution), outcome in zip(executions.items(), outcomes, strict=True):
            if not isinstance(outcome, Run | NnpipeError):  # asked once more to stop, at once
                raise outcome
            self.answers[number - 1] = answer_of(execution, outcome)

    def _begin(self, watched: ExitStack) -> Iterator[tuple[int, Execution]]:
        """The executions of those who have something to do; the others are over."""
        for number, member in enumerate(self._family.members, start=1):
            plan = self._plan(number)
            if plan.nothing_to_do:
                self._run(number, self._here)
            else:
                observer = watched.enter_context(self._watch(number, member, plan))
                yield number, begun(plan, self._settings, observer, self.stopping)

    @property
    def _ending(self) -> bool:
        return self.stopping.is_set() or self._failed.is_set()

    def _keep_busy(self, numbers: Iterator[int]) -> None:
        """Carry out one run after another in a process that is started when it is needed."""
        from nnpipe.sweeps.worker import Worker

        worker: Worker | None = None

        def elsewhere(plan: Plan, observer: Observer) -> Answer:
            nonlocal worker
            if plan.nothing_to_do:
                return self._here(plan, observer)
            if worker is None or not worker.ready:
                if worker is not None:
                    worker.close()
                worker = Worker()
                self._workers.append(worker)
            return worker.carry_out(plan, self._settings, observer)

        try:
            for number in numbers:
                if self._ending:
                    return
                self._run(number, elsewhere)
        except BaseException:
            self._failed.set()
            raise
        finally:
            if worker is not None:
                worker.close()

    def _run(self, number: int, carry: Callable[[Plan, Observer], Answer]) -> None:
        plan = self._plan(number)
        with self._watch(number, self._family.members[number - 1], plan) as observer:
            answer = carry(plan, observer)
        self.answers[number - 1] = answer
        if answer.status == "failed" and self._fail_fast:
            self._failed.set()

    def _plan(self, number: int) -> Plan:
        spec = self._family.members[number - 1].spec
        # A store of its own: what one remembers of files is not for several threads.
        return make_plan(spec, open_store(self._store.place, warn), self._family.root, device=self._settings.device)

    def _here(self, plan: Plan, observer: Observer) -> Answer:
        return carry_out(plan, self._settings, observer, self.stopping)
