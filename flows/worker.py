"""What a Dask worker does: it carries out one stage at a time, tells how it comes along, and stops when it is told to.

Dask also loads this module into each worker that is started here, by ``dask_setup``.
"""

from __future__ import annotations

import signal
import time
from collections import defaultdict
from collections.abc import Mapping
from threading import Event
from typing import Any

from distributed import Worker, get_worker
from prefect.client.schemas.objects import State
from prefect.states import Cancelled, Failed

from flows.states import made
from nnpipe.errors import Interrupted
from nnpipe.pipeline.elsewhere import Order, carry_out
from nnpipe.pipeline.run import StageResult
from nnpipe.stages.work import Silent

APART = 0.5  # seconds between two messages on how far an epoch has come

_stopping: defaultdict[str, Event] = defaultdict(Event)  # by topic


def dask_setup(worker: Worker) -> None:
    """Leave Ctrl-C, which reaches every process of a terminal, to the one that started this worker."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def stop(topic: str) -> None:
    """Stop what is under way here with a checkpoint, and what would begin. Called by the client, on every worker."""
    _stopping[topic].set()


def carry_out_stage(order: Order, topic: str, node: int, inputs: Mapping[str, Any]) -> State:
    """Body of a task. ``inputs``: what the tasks before it returned; they are there so that Dask waits for them.

    The data of the state are those of a ``StageResult``, or a ``Failure``. Errors are returned, because Prefect would
    pickle those that are raised into its results.
    """
    answer = carry_out(order, Told(topic, node), _stopping[topic])
    if isinstance(answer, StageResult):
        return made(answer)
    ended = Cancelled if isinstance(answer.error, Interrupted) else Failed
    return ended(message=str(answer.error), data=answer)


class Told(Silent):
    """An observer that hands on what it is told through Dask's scheduler, to whoever subscribed to ``topic``."""

    def __init__(self, topic: str, node: int) -> None:
        self._topic, self._node, self._worker = topic, node, get_worker()
        self._advanced = 0.0

    def started(self, stage: str) -> None:
        self._tell("started", stage)

    def epoch(self, stage: str, record: Mapping[str, float], epochs: int) -> None:
        self._tell("epoch", stage, dict(record), epochs)

    def advanced(self, stage: str, done: int, total: int, measures: Mapping[str, float]) -> None:
        now = time.monotonic()
        if now - self._advanced >= APART:
            self._advanced = now
            self._tell("advanced", stage, done, total, dict(measures))

    def waiting(self, stage: str, owner: str) -> None:
        self._tell("waiting", stage, owner)

    def _tell(self, what: str, *words: Any) -> None:
        self._worker.log_event(self._topic, {"node": self._node, "tell": what, "words": words})
