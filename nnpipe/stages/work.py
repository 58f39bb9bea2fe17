"""What a stage is handed: its inputs, its output, and the few things that cannot change its result in kind."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event
from typing import Protocol

from nnpipe.store.artifact import Artifact
from nnpipe.store.canonical import JSON
from nnpipe.store.checkpoints import DiskCheckpoints
from nnpipe.store.output import Output
from nnpipe.training.team import Alone, Team

UNTOLD = ("epoch", "seconds", "examples", "learning_rate")  # of an epoch's record: they are no measures


class Observer(Protocol):
    """Somebody who watches stages at work: a terminal, a log, a test. Called from several threads."""

    def started(self, stage: str) -> None: ...

    def epoch(self, stage: str, record: Mapping[str, float], epochs: int) -> None:
        """An epoch ended. ``record``: ``epoch`` (from 1), ``seconds``, ``examples`` and the epoch's measures."""

    def advanced(self, stage: str, done: int, total: int, measures: Mapping[str, float]) -> None:
        """``done`` of ``total`` examples of the epoch, or of the data being read."""

    def waiting(self, stage: str, owner: str) -> None:
        """Somebody else computes this stage at this moment: ``owner``, in words. Its result will be taken."""

    def finished(self, stage: str, status: str, seconds: float) -> None:
        """``status``: computed, reused, resumed, interrupted or failed."""


class Silent:
    """An observer that says nothing."""

    def started(self, stage: str) -> None: ...
    def epoch(self, stage: str, record: Mapping[str, float], epochs: int) -> None: ...
    def advanced(self, stage: str, done: int, total: int, measures: Mapping[str, float]) -> None: ...
    def waiting(self, stage: str, owner: str) -> None: ...
    def finished(self, stage: str, status: str, seconds: float) -> None: ...


class Audience:
    """Several observers that are told the same, one after another."""

    def __init__(self, *observers: Observer) -> None:
        self._observers = observers

    def started(self, stage: str) -> None:
        for observer in self._observers:
            observer.started(stage)

    def epoch(self, stage: str, record: Mapping[str, float], epochs: int) -> None:
        for observer in self._observers:
            observer.epoch(stage, record, epochs)

    def advanced(self, stage: str, done: int, total: int, measures: Mapping[str, float]) -> None:
        for observer in self._observers:
            observer.advanced(stage, done, total, measures)

    def waiting(self, stage: str, owner: str) -> None:
        for observer in self._observers:
            observer.waiting(stage, owner)

    def finished(self, stage: str, status: str, seconds: float) -> None:
        for observer in self._observers:
            observer.finished(stage, status, seconds)


@dataclass
class Work:
    """One execution of one stage; also what its training loop watches (``nnpipe.training.watch.Watch``).

    stage: its name.
    inputs: the name of an input (``data``, ``model``, ``below``...) -> artifact.
    output: what the stage fills.
    seed: of this stage; all its randomness comes from it.
    root: the folder that relative paths in the spec start from.
    device: ``cpu`` or ``cuda``.
    memory: bytes that the examples of a split may take there; those of a larger one stay in their file.
    stopping: set when somebody asked to stop; long loops look at it, keep a checkpoint and raise Interrupted.
    timings: facts about time (the seconds of each epoch, ...) for the recipe record; no part of the artifact.
    team: the processes that are to share the work, led by this one; None: it is done alone.
    task: what the others of them are told.
    """

    stage: str
    inputs: Mapping[str, Artifact]
    output: Output
    seed: int
    root: Path
    checkpoints: DiskCheckpoints
    device: str = "cpu"
    memory: int = sys.maxsize
    observer: Observer = field(default_factory=Silent)
    stopping: Event = field(default_factory=Event)
    timings: dict[str, JSON] = field(default_factory=dict)
    team: Team | None = None
    task: dict[str, JSON] = field(default_factory=dict)

    @contextmanager
    def shared(self) -> Iterator[Alone]:
        """Within it the processes of the team are at work on the task, if there are any; all of them, or this one."""
        if self.team is None:
            yield Alone()
            return
        self.team.tell(self.task)
        with self.team.together(self.device):
            yield self.team

    def epoch(self, record: Mapping[str, float], epochs: int) -> None:
        """Tell the observer that an epoch ended, and note its time."""
        self.timings.setdefault("epochs", []).append({key: record[key] for key in ("epoch", "seconds", "examples")})
        self.observer.epoch(self.stage, record, epochs)

    def advanced(self, done: int, total: int, measures: Mapping[str, float]) -> None:
        """Tell the observer how far an epoch, or the reading of data, has come."""
        self.observer.advanced(self.stage, done, total, measures)
