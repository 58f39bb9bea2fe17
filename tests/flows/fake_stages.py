"""Stages that do what a test asks of them."""

from __future__ import annotations

import importlib
import os
import time
from collections.abc import Callable
from pathlib import Path
from threading import Barrier, Event
from typing import Any, Literal

from nnpipe.errors import DataError, Interrupted
from nnpipe.spec import Part
from nnpipe.stages.work import Work

PROBLEM = DataError("these data are broken", where="data.npz", hint="look into it")
meeting = Barrier(2)
waiting = Event()
before: dict[str, Callable[..., None]] = {}


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


# -- what happens on a Dask worker: it calls real stages, which are changed there --------------------------------------


def changed(stage: str, change: Callable[[Callable[..., None]], Callable[..., None]]) -> None:
    """Put something in the place of the function of a stage, in this process, until ``restored``."""
    module = importlib.import_module(f"nnpipe.stages.{stage}")
    before.setdefault(stage, getattr(module, stage))
    setattr(module, stage, change(before[stage]))


def restored() -> None:
    for stage, function in before.items():
        setattr(importlib.import_module(f"nnpipe.stages.{stage}"), stage, function)


def meet_elsewhere(stages: list[str], folder: str) -> None:
    """Let each of these stages wait until all of them have begun, each in a process of its own."""

    def waiting_in(stage: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
        def change(function: Callable[..., None]) -> Callable[..., None]:
            def wait_for_all(config: object, work: Work) -> None:
                Path(folder, stage).write_text(str(os.getpid()))
                deadline = time.monotonic() + 60
                while not all(Path(folder, other).exists() for other in stages):
                    assert time.monotonic() < deadline, f"{stage} waited for the others for a minute"
                    time.sleep(0.01)
                function(config, work)

            return wait_for_all

        return change

    for stage in stages:
        changed(stage, waiting_in(stage))


def break_stage(stage: str) -> None:
    def broken(config: object, work: Work) -> None:
        raise PROBLEM

    changed(stage, lambda function: broken)


def die_in(stage: str) -> None:
    changed(stage, lambda function: lambda config, work: os._exit(1))


def allow_failures(number: int, dask_scheduler: Any) -> None:
    """Called on Dask's scheduler: how many workers may die of a task before it is not tried again."""
    dask_scheduler.allowed_failures = number
