"""nnpipe's training loop, called as its stages call it, but with nothing kept and nobody listening."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from threading import Event
from typing import TYPE_CHECKING, Any

from benchmarks.measure import Row, Target, Turn, figures, number, quality
from nnpipe.training.loop import fit

if TYPE_CHECKING:
    import torch

    from nnpipe.training.examples import Examples
    from nnpipe.training.objective import Objective
    from nnpipe.training.regime import Regime


class Silent:
    """Surroundings of a training loop (``nnpipe.training.watch.Watch``) in which nothing is kept."""

    stopping = Event()

    @property
    def checkpoints(self) -> Any:
        return self

    def load(self) -> None: ...
    def save(self, tensors: Any, document: Any) -> None: ...
    def due(self) -> bool:
        return False

    def epoch(self, record: Any, epochs: int) -> None: ...
    def advanced(self, done: int, total: int, measures: Any) -> None: ...


def learn(
    objective: Objective, optimizer: torch.optim.Optimizer, examples: Examples, regime: Regime, seed: int
) -> None:
    """Train, without validation and without looking inside; on a GPU, until it has done all."""
    fit(objective, optimizer, examples, None, regime, seed=seed, watch=Silent())
    finish(examples.device)


def finish(device: torch.device | str) -> None:
    """Wait until a GPU has done what it was told: it is told faster than it does."""
    import torch

    if torch.device(device).type == "cuda":
        torch.cuda.synchronize()


def compared(
    work: str, turns: Mapping[str, list[Turn]], ours: Sequence[str], targets: Mapping[str, float | None], measure: str
) -> Iterator[Row]:
    """A row for each of ``ours`` beside each peer in ``targets``, who is to be beaten by so many times.

    targets: None where nothing is asked. measure: what ``quality`` is, in words. A peer without turns is not installed.
    """
    for name in ours:
        for peer, bound in targets.items():
            note = f"{peer} is not installed: make peers"
            if peer in turns:
                note = f"{measure} {number(quality(turns[name]))} and {number(quality(turns[peer]))}"
            theirs = figures(turns.get(peer, ()))
            target = None if bound is None else Target("times as fast", bound)
            yield Row(f"{work}, {name}", peer, "images/s", figures(turns[name]), theirs, target, note)
