"""What a training loop sees of the world around it: somebody to tell, a place for checkpoints, a wish to stop."""

from __future__ import annotations

from collections.abc import Mapping
from threading import Event
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    import numpy as np


class Checkpoints(Protocol):
    """Where work under way keeps its state. Nothing is pickled: named arrays and a JSON document."""

    def load(self) -> tuple[dict[str, np.ndarray], Any] | None:
        """The newest whole state, or None."""

    def save(self, tensors: Mapping[str, np.ndarray], document: Any) -> None:
        """Keep a state; the one before it stays until this one is whole."""

    def due(self) -> bool:
        """Whether it is time for the next one."""


class Watch(Protocol):
    """The surroundings of a training loop; a stage's ``Work`` is one."""

    @property
    def checkpoints(self) -> Checkpoints: ...

    @property
    def stopping(self) -> Event:
        """Set when somebody asked to stop: keep a checkpoint and raise Interrupted."""

    def epoch(self, record: Mapping[str, float], epochs: int) -> None:
        """An epoch ended. ``record``: ``epoch`` (from 1), ``seconds``, ``examples`` and the epoch's measures."""

    def advanced(self, done: int, total: int, measures: Mapping[str, float]) -> None:
        """``done`` of ``total`` examples of this epoch; called a few times a second at most."""
