"""Stages that do what a test asks of them."""

from __future__ import annotations

import time
from threading import Barrier, Event
from typing import Literal

from nnpipe.errors import DataError, Interrupted
from nnpipe.spec import Part
from nnpipe.stages.work import Work

PROBLEM = DataError("these data are broken", where="data.npz", hint="look into it")
meeting = Barrier(2)
waiting = Event()


class Fake(Part):
    does: Literal["work", "meet", "fail", "wait", "learn"] = "work"


def fake(config: Fake, work: Work) -> None:
    if config.does == "meet":
        meeting.wait(timeout=60)
    if config.does == "fail":
        raise PROBLEM
    if config.does == "learn":
        for epoch in range(1, 11):
            time.sleep(0.1)
            work.advanced(50, 100, {})
            work.epoch({"epoch": epoch, "loss": 1 / epoch, "seconds": 0.1, "examples": 100}, 10)
    if config.does == "wait" and work.checkpoints.load() is None:
        waiting.set()
        work.stopping.wait(timeout=60)
        work.checkpoints.save({}, {"waited": True})
        raise Interrupted("stopped, as asked")
    work.output.json("made", {"by": work.stage, "from": sorted(work.inputs)})
