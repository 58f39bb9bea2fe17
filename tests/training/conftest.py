"""A training loop's surroundings in memory, and small problems to train on."""

from __future__ import annotations

import json
from collections.abc import Mapping
from threading import Event
from typing import Any

import numpy as np
import pytest
import torch

from nnpipe.models.architecture import Model
from nnpipe.models.network import Network
from nnpipe.models.scaling import Scaling
from nnpipe.training.examples import Examples

State = tuple[dict[str, np.ndarray], str]


class StopAt(Event):
    """An event that is set from the n-th time that somebody looks."""

    def __init__(self, looks: int) -> None:
        super().__init__()
        self.looks = looks

    def is_set(self) -> bool:
        self.looks -= 1
        return self.looks <= 0


class MemoryWatch:
    """Keeps states as arrays and JSON text, as files would; stops at the n-th look if asked to."""

    def __init__(self, *, stop_at: int | None = None, states: list[State] | None = None, due: bool = False) -> None:
        self.stopping: Event = Event() if stop_at is None else StopAt(stop_at)
        self.states: list[State] = states if states is not None else []
        self.always = due
        self.records: list[dict[str, float]] = []
        self.progress: list[tuple[int, int]] = []

    @property
    def checkpoints(self) -> MemoryWatch:
        return self

    def load(self) -> tuple[dict[str, np.ndarray], Any] | None:
        if not self.states:
            return None
        tensors, text = self.states[-1]
        return {name: array.copy() for name, array in tensors.items()}, json.loads(text)

    def save(self, tensors: Mapping[str, np.ndarray], document: Any) -> None:
        copies = {name: np.ascontiguousarray(array).copy() for name, array in tensors.items()}
        self.states.append((copies, json.dumps(document, allow_nan=False)))

    def due(self) -> bool:
        return self.always

    def epoch(self, record: Mapping[str, float], epochs: int) -> None:
        self.records.append(dict(record))

    def advanced(self, done: int, total: int, measures: Mapping[str, float]) -> None:
        self.progress.append((done, total))


def make_network(layers: list[Any], shape: tuple[int, ...], seed: int = 0) -> Network:
    model = Model.model_validate({"layers": layers})
    return Network(model, shape, Scaling(), ["a", "b", "c"], torch.Generator().manual_seed(seed))


def make_blobs(n: int = 90, classes: int = 3, seed: int = 0, spread: float = 0.7) -> Examples:
    """Clouds about points of a circle of radius 2, in order of nothing."""
    rng = np.random.default_rng(seed)
    y = rng.integers(0, classes, n)
    angle = 2 * np.pi * y / classes
    x = 2 * np.stack([np.cos(angle), np.sin(angle)], 1) + spread * rng.normal(size=(n, 2))
    return Examples(torch.from_numpy(x.astype(np.float32)), torch.from_numpy(y))


@pytest.fixture
def watch() -> type[MemoryWatch]:
    return MemoryWatch


@pytest.fixture
def network() -> Any:
    return make_network


@pytest.fixture
def blobs() -> Any:
    return make_blobs
