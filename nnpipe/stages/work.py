"""What a stage is handed: its inputs, its output, and the few things that cannot change its result in kind."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event
from typing import Protocol

from nnpipe.store.artifact import Artifact
from nnpipe.store.canonical import JSON
from nnpipe.store.output import Output


class Observer(Protocol):
    """Somebody who watches stages at work: a terminal, a log, a test."""

    def started(self, stage: str) -> None: ...
    def epoch(self, stage: str, record: Mapping[str, float], epochs: int) -> None:
        """An epoch ended. ``record`` has ``epoch`` (from 1), ``seconds``, ``examples`` and the epoch's measures."""

    def advanced(self, stage: str, done: float, total: float, measures: Mapping[str, float]) -> None:
        """Within an epoch, or while reading: ``done`` of ``total`` examples; called several times a second at most."""

    def finished(self, stage: str, status: str, seconds: float) -> None:
        """``status``: computed, reused or resumed."""


class Silent:
    """An observer that says nothing."""

    def started(self, stage: str) -> None: ...
    def epoch(self, stage: str, record: Mapping[str, float], epochs: int) -> None: ...
    def advanced(self, stage: str, done: float, total: float, measures: Mapping[str, float]) -> None: ...
    def finished(self, stage: str, status: str, seconds: float) -> None: ...


class Checkpoints(Protocol):
    """Where a stage keeps its state while it is under way. Nothing is pickled."""

    def load(self) -> tuple[dict[str, object], JSON] | None:
        """The newest whole state: named tensors (numpy) and a JSON document; None if there is none."""

    def save(self, tensors: Mapping[str, object], document: JSON) -> None:
        """Keep a state; the one before it stays until this one is whole."""

    def due(self) -> bool:
        """Whether it is time for the next one."""


@dataclass
class Work:
    """One execution of one stage.

    stage: its name.
    inputs: the name of an input (``data``, ``model``, ``below``...) -> artifact.
    output: what the stage fills.
    seed: of this stage; all its randomness comes from it.
    root: the folder that relative paths in the spec start from.
    device: ``cpu`` or ``cuda``.
    stopping: set when somebody asked to stop; long loops look at it, keep a checkpoint and raise Interrupted.
    timings: facts about time (a list with the seconds of each epoch, ...) for the recipe record.
    """

    stage: str
    inputs: Mapping[str, Artifact]
    output: Output
    seed: int
    root: Path
    checkpoints: Checkpoints
    device: str = "cpu"
    observer: Observer = field(default_factory=Silent)
    stopping: Event = field(default_factory=Event)
    timings: dict[str, JSON] = field(default_factory=dict)
