"""The one training loop: batches, epochs, measures, checkpoints. It does not know what is learned, or how.

A fit that was interrupted at any batch and resumed gives, on a CPU, the same bits as one that never was.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

import torch
from torch import Tensor, nn

from nnpipe.errors import Interrupted, StageError
from nnpipe.training.checkpoint import flatten, unflatten
from nnpipe.training.early_stopping import EarlyStopping
from nnpipe.training.examples import Examples
from nnpipe.training.seeds import generator
from nnpipe.training.watch import Watch

ORDER = 1  # purpose of the generators that shuffle, one an epoch; see seeds.generator
VALIDATION_BATCH = 250  # larger ones fall out of a CPU's caches: a third of the speed
REPORT_SECONDS = 0.25


class Objective(Protocol):
    """What is learned: a module, and the gradient of its objective on a batch.

    generators: the random state it draws from; the loop keeps it in checkpoints.
    """

    @property
    def module(self) -> nn.Module: ...

    @property
    def generators(self) -> Mapping[str, torch.Generator]: ...

    def gradient(self, x: Tensor, y: Tensor | None) -> dict[str, Tensor]:
        """Fill ``.grad`` of the module's parameters with the gradient of the batch's mean objective, in training mode.

        Returns measures summed over the batch, 0-d tensors without history; ``loss`` is the objective, if it has a
        value.
        """

    def measure(self, x: Tensor, y: Tensor | None) -> dict[str, Tensor]:
        """The same measures in evaluation mode; nothing is learned."""


@dataclass
class History:
    """What happened: one record an epoch, why it ended, and which epoch's weights the module has.

    records: ``epoch`` (from 1), the means of the measures, those of validation with ``val_`` before, ``learning_rate``
    where the optimizer has one, ``seconds`` and ``examples``.
    """

    records: list[dict[str, float]] = field(default_factory=list)
    stopped: Literal["epochs", "patience"] = "epochs"
    kept_epoch: int = 0

    def without_times(self) -> list[dict[str, float]]:
        """The records less what differs from one run to the next."""
        return [{k: v for k, v in record.items() if k not in ("seconds", "examples")} for record in self.records]


def fit(
    objective: Objective,
    optimizer: torch.optim.Optimizer,
    train: Examples,
    validation: Examples | None,
    *,
    epochs: int,
    batch_size: int | Literal["full"],
    seed: int,
    watch: Watch,
    schedule: Callable[[int], None] | None = None,
    early_stopping: EarlyStopping | None = None,
) -> History:
    """Train ``objective.module`` in place, going on from the watch's last checkpoint if there is one.

    seed: of the order of examples, a new one each epoch. The last batch of an epoch may be smaller.
    schedule: called with the number of the epoch (from 1) whenever one begins or is resumed; may set the options of
        the optimizer, as a function of that number alone.
    early_stopping: needs ``validation``; the best epoch's weights are in the module at the end, even if it never
        stopped early.

    Raises:
        Interrupted: the watch is stopping; a checkpoint was kept.
        StageError: a measure is no longer finite.
    """
    if early_stopping and validation is None:
        raise ValueError("early stopping needs validation examples")
    size = len(train) if batch_size == "full" else batch_size
    run = _Run(objective, optimizer, train, validation, size, seed, watch, epochs, schedule, early_stopping)
    threads = torch.get_num_threads()
    try:
        return run.fit()
    finally:
        torch.set_num_threads(threads)


@dataclass
class _Run:
    """One fit under way. What is below ``history`` changes, and is what a checkpoint holds besides weights."""

    objective: Objective
    optimizer: torch.optim.Optimizer
    train: Examples
    validation: Examples | None
    batch_size: int
    seed: int
    watch: Watch
    epochs: int
    schedule: Callable[[int], None] | None
    early_stopping: EarlyStopping | None
    history: History = field(default_factory=History)
    done: int = 0  # examples of this epoch
    seconds: float = 0.0  # that this epoch took before it was resumed
    sums: dict[str, Tensor] = field(default_factory=dict)  # of the measures of this epoch
    best: float | None = None
    best_weights: dict[str, Tensor] = field(default_factory=dict)

    def fit(self) -> History:
        self._restore()
        while len(self.history.records) < self.epochs and self.history.stopped == "epochs":
            self._epoch(len(self.history.records) + 1)
        if self.early_stopping:
            self.objective.module.load_state_dict(self.best_weights)
        return self.history

    def _epoch(self, epoch: int) -> None:
        if self.schedule:
            self.schedule(epoch)
        started = reported = time.perf_counter()
        before = self.seconds
        order = torch.randperm(len(self.train), generator=generator(self.seed, ORDER, epoch)).to(self.train.device)
        for indices in order[self.done :].split(self.batch_size):  # type: ignore[no-untyped-call]
            self._step(*self.train.batch(indices))
            self.done += len(indices)
            now = time.perf_counter()
            self.seconds = before + now - started
            if now - reported > REPORT_SECONDS:
                self.watch.advanced(self.done, len(self.train), self._means(self.sums, self.done))
                reported = now
            if self.done < len(self.train):
                self._keep_if_wanted()
        measures = self._means(self.sums, self.done)
        measures |= {f"val_{name}": value for name, value in self._validate().items()}
        self.seconds = before + time.perf_counter() - started
        self._close_epoch(epoch, measures)
        self._keep_if_wanted()

    def _step(self, x: Tensor, y: Tensor | None) -> None:
        """One step of the optimizer. Measures are those of the weights before it."""
        generators = self.objective.generators.values()
        states = [source.get_state() for source in generators]
        first: dict[str, Tensor] = {}

        def closure() -> Tensor | None:
            # The same draws each time: to a line search the objective is a function of the weights.
            if first:
                for source, state in zip(generators, states, strict=True):
                    source.set_state(state)
            measures = self.objective.gradient(x, y)
            if not first:
                first.update(measures)
            return measures["loss"] / len(x) if "loss" in measures else None

        self.optimizer.step(closure)  # type: ignore[arg-type]
        for name, value in first.items():  # sums stay on the device: reading them would wait for it
            self.sums[name] = self.sums[name] + value if name in self.sums else value.double()

    def _validate(self) -> dict[str, float]:
        if self.validation is None:
            return {}
        sums: dict[str, Tensor] = {}
        with torch.inference_mode():
            for start in range(0, len(self.validation), VALIDATION_BATCH):
                batch = self.validation.rows(start, start + VALIDATION_BATCH)
                for name, value in self.objective.measure(*batch).items():
                    sums[name] = sums[name] + value if name in sums else value.double()
        return self._means(sums, len(self.validation))

    def _means(self, sums: Mapping[str, Tensor], count: int) -> dict[str, float]:
        means = {name: float(value) / count for name, value in sums.items()}
        for name, value in means.items():
            if not math.isfinite(value):
                raise StageError(
                    f"training diverged: {name} is {value} in epoch {len(self.history.records) + 1}",
                    expected="a finite number",
                    found=str(value),
                    hint="lower the learning rate",
                )
        return means

    def _close_epoch(self, epoch: int, measures: Mapping[str, float]) -> None:
        rate = self.optimizer.param_groups[0].get("lr")
        record: dict[str, float] = {"epoch": epoch, **measures}
        record |= {} if rate is None else {"learning_rate": float(rate)}
        record |= {"seconds": self.seconds, "examples": len(self.train)}
        history = self.history
        history.records.append(record)
        history.kept_epoch = self._choose(epoch, record) if self.early_stopping else epoch
        self.done, self.seconds, self.sums = 0, 0.0, {}
        self.watch.epoch(record, self.epochs)

    def _choose(self, epoch: int, record: Mapping[str, float]) -> int:
        """The best epoch so far; notes its weights, and that patience is at its end."""
        assert self.early_stopping is not None
        value, kept = record[self.early_stopping.monitor], self.history.kept_epoch
        if self.early_stopping.better(value, self.best):
            self.best, kept = value, epoch
            self.best_weights = {n: t.clone() for n, t in self.objective.module.state_dict().items()}
        if epoch - kept >= self.early_stopping.patience and epoch < self.epochs:
            self.history.stopped = "patience"
        return kept

    def _keep_if_wanted(self) -> None:
        stopping = self.watch.stopping.is_set()
        if stopping or self.watch.checkpoints.due():
            self._means(self.sums, max(self.done, 1))  # what has diverged is not worth keeping
            self.watch.checkpoints.save(*flatten(self._state()))
        if stopping:
            epoch = len(self.history.records) + 1
            raise Interrupted(
                f"training stopped in epoch {min(epoch, self.epochs)} of {self.epochs}; it can be resumed"
            )

    def _state(self) -> dict[str, Any]:
        return {
            "module": self.objective.module.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "generators": {name: source.get_state() for name, source in self.objective.generators.items()},
            "threads": torch.get_num_threads(),
            "records": self.history.records,
            "stopped": self.history.stopped,
            "kept_epoch": self.history.kept_epoch,
            "done": self.done,
            "seconds": self.seconds,
            "sums": self.sums,
            "best": self.best,
            "best_weights": self.best_weights,
        }

    def _restore(self) -> None:
        found = self.watch.checkpoints.load()
        if found is None:
            return
        state = unflatten(*found)
        # Sums over a batch are rounded differently for another number of threads.
        torch.set_num_threads(state["threads"])
        self.objective.module.load_state_dict(state["module"])
        self.optimizer.load_state_dict(state["optimizer"])
        self._lay_out_as_parameters()
        for name, source in self.objective.generators.items():
            source.set_state(state["generators"][name])
        self.history = History(state["records"], state["stopped"], state["kept_epoch"])
        self.done, self.seconds = state["done"], state["seconds"]
        self.sums = {name: value.to(self.train.device) for name, value in state["sums"].items()}
        self.best, self.best_weights = state["best"], state["best_weights"]

    def _lay_out_as_parameters(self) -> None:
        # Fused steps walk a parameter and its state in the order of memory, which for kernels is channels last.
        for parameter, state in self.optimizer.state.items():
            for name, value in state.items():
                if isinstance(value, Tensor) and value.shape == parameter.shape:
                    state[name] = torch.empty_like(parameter).copy_(value)
