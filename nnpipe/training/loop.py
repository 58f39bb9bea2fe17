"""The one training loop: batches, epochs, measures, checkpoints. It does not know what is learned, or how.

A fit that was interrupted at any batch and resumed gives, on a CPU, the same bits as one that never was. The processes
of a team all go through it, in step; the first of them keeps checkpoints and tells how it goes.
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from nnpipe.errors import Interrupted, StageError
from nnpipe.training.averaging import Average
from nnpipe.training.batch import Batch, add_up
from nnpipe.training.checkpoint import flatten, lay_out_as_parameters, unflatten
from nnpipe.training.divided import Divided
from nnpipe.training.examples import Examples
from nnpipe.training.history import History
from nnpipe.training.objective import Inspector, Objective
from nnpipe.training.regime import Regime, Scheduled
from nnpipe.training.seeds import generator
from nnpipe.training.team import ALONE, Alone, Team
from nnpipe.training.watch import Watch

ORDER, AUGMENTATION = 1, 3  # purposes of the generators that shuffle and that augment; see seeds.generator
VALIDATION_BATCH = 250  # larger ones fall out of a CPU's caches: a third of the speed
REPORT_SECONDS = 0.25


def fit(
    objective: Objective,
    optimizer: torch.optim.Optimizer,
    train: Examples,
    validation: Examples | None,
    regime: Regime,
    *,
    seed: int,
    watch: Watch,
    inspector: Inspector | None = None,
    team: Alone = ALONE,
) -> History:
    """Train ``objective.module`` in place, going on from the watch's last checkpoint if there is one.

    seed: of the order of examples, a new one each epoch, and of what augmentation draws.
    inspector: looks inside before the first epoch and after each.
    team: the processes that share each batch; all call this with the same, and end with the same weights.

    Raises:
        Interrupted: the watch is stopping; a checkpoint was kept.
        StageError: a measure is no longer finite.
    """
    if regime.early_stopping and validation is None:
        raise ValueError("early stopping needs validation examples")
    threads = torch.get_num_threads()
    if isinstance(team, Team):
        objective, inspector = Divided(objective, team), inspector if team.leads else None
        torch.set_num_threads(max(1, threads // team.local))
    run = _Run(objective, optimizer, train, validation, regime, seed, watch, inspector, team)
    try:
        return run.fit()
    finally:
        torch.set_num_threads(threads)
        regime.frozen.release()


@dataclass
class _Run:
    """One fit under way. What is below ``history`` changes, and is what a checkpoint holds besides weights."""

    objective: Objective
    optimizer: torch.optim.Optimizer
    train: Examples
    validation: Examples | None
    regime: Regime
    seed: int
    watch: Watch
    inspector: Inspector | None
    team: Alone
    history: History = field(default_factory=History)
    done: int = 0  # examples of this epoch
    seconds: float = 0.0  # that this epoch took before it was resumed
    sums: dict[str, Tensor] = field(default_factory=dict)  # of the measures of this epoch
    best: float | None = None
    best_weights: dict[str, Tensor] = field(default_factory=dict)

    def __post_init__(self) -> None:
        averaging = self.regime.averaging
        self.average = Average(averaging, self.objective.module) if averaging else None
        self.scheduled = Scheduled(self.optimizer, self.regime)
        self.batch_size = len(self.train) if self.regime.batch_size == "full" else self.regime.batch_size

    def fit(self) -> History:
        self._restore()
        self.team.check_same([self.objective.module.state_dict(), self.history.without_times(), self.done])
        self.regime.frozen.set(len(self.history.records) + 1)
        if self.inspector and not self.history.inside:
            self.history.inside.append(self.inspector.look())
        while len(self.history.records) < self.regime.epochs and self.history.stopped == "epochs":
            self._epoch(len(self.history.records) + 1)
        if self.regime.early_stopping and self.best_weights:
            self.objective.module.load_state_dict(self.best_weights)
        elif self.average and self.average.tensors:
            self.objective.module.load_state_dict(self.average.tensors)
        return self.history

    def _epoch(self, epoch: int) -> None:
        started = reported = time.perf_counter()
        before, total = self.seconds, len(self.train)
        if self.done == 0:
            self.regime.frozen.begin(epoch, self.optimizer)
        draws = generator(self.seed, ORDER, epoch)
        order = self.regime.shuffle.order(total, self.train.row_bytes, draws)
        for x, y in self.train.batches(order[self.done :], self.batch_size):
            self._step(epoch, x, y)
            now = time.perf_counter()
            self.seconds = before + now - started
            if now - reported > REPORT_SECONDS:
                reported = now
                self.watch.advanced(self.done, total, self._means(self.sums, self.done))
            if self.done < total:
                self._keep_if_wanted()
        measures = self._means(self.sums, self.done)
        with self.average.in_place() if self.average else nullcontext():
            measures |= {f"val_{name}": value for name, value in self._validate().items()}
            self.seconds = before + time.perf_counter() - started
            self._close_epoch(epoch, measures)
        self._keep_if_wanted()

    def _step(self, epoch: int, x: Tensor, y: Tensor | None) -> None:
        """One step of the optimizer on a batch of examples. Measures are those of the weights before it."""
        total, count, objective = len(self.train), len(x), self.objective
        self.scheduled.set(epoch - 1 + self.done / total, count / total)
        if self.regime.augmentation:
            draws = generator(self.seed, AUGMENTATION, epoch, self.done)
            for augmentation in self.regime.augmentation:
                x = augmentation.apply(x, draws)
        last = self.done + count == total
        before = self.inspector.weights() if self.inspector and last else None
        whole = count == total and not self.regime.augmentation
        batch = Batch(objective, x, y, self.regime.regularisation, whole=whole)
        self.optimizer.step(batch)  # type: ignore[arg-type]
        self.regime.regularisation.limit(objective.module)
        add_up(self.sums, batch.measures.items())
        self.done += count
        if self.average:
            self.average.add(epoch - 1 + self.done / total, self.regime.epochs)
        if self.inspector and last:
            self.history.inside.append(self.inspector.look(before))

    def _validate(self) -> dict[str, float]:
        if self.validation is None:
            return {}
        sums: dict[str, Tensor] = {}
        with torch.inference_mode():
            for batch in self.validation.in_order(VALIDATION_BATCH):
                add_up(sums, self.objective.measure(*batch).items())
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
        self.history.records.append(record)
        self.history.stopped = self._reason(measures) or "epochs"
        self.history.kept_epoch = self._choose(epoch, record)
        self.done, self.seconds, self.sums = 0, 0.0, {}
        self.watch.epoch(record, self.regime.epochs)

    def _reason(self, measures: Mapping[str, float]) -> str | None:
        """Why this epoch is the last one, if it is; the optimizer may know, as ``stopped``."""
        regime = self.regime
        if regime.goal is not None and measures.get("loss", math.inf) <= regime.goal:
            return "goal"
        if regime.time_limit is not None and self.team.any(self.history.seconds >= regime.time_limit):
            return "time"
        frozen = regime.frozen.at(len(self.history.records))  # when nothing is left to do, there will be
        return None if frozen else getattr(self.optimizer, "stopped", None)

    def _choose(self, epoch: int, record: Mapping[str, float]) -> int:
        """The epoch whose weights are to be kept; notes them where early stopping chooses, and that it has waited."""
        chooser = self.regime.early_stopping
        if chooser is None:
            return epoch
        value, kept = record[chooser.monitor], self.history.kept_epoch
        if chooser.better(value, self.best):
            self.best, kept = value, epoch
            self.best_weights = {n: t.clone() for n, t in self.objective.module.state_dict().items()}
        if epoch - kept >= chooser.patience and epoch < self.regime.epochs:
            self.history.stopped = "patience"
        return kept

    def _keep_if_wanted(self) -> None:
        stopping = self.team.stopping(self.watch.stopping)
        if self.team.leads and (stopping or self.watch.checkpoints.due()):
            self._means(self.sums, max(self.done, 1))  # what has diverged is not worth keeping
            self.watch.checkpoints.save(*flatten(self._state()))
        if stopping:
            epochs = self.regime.epochs
            epoch = min(len(self.history.records) + 1, epochs)
            raise Interrupted(f"training stopped in epoch {epoch} of {epochs}; it can be resumed")

    def _state(self) -> dict[str, Any]:
        return {
            "module": self.objective.module.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "generators": {name: source.get_state() for name, source in self.objective.generators.items()},
            "threads": torch.get_num_threads(),
            "processes": self.team.size,
            "history": self.history.to_json(),
            "done": self.done,
            "seconds": self.seconds,
            "sums": self.sums,
            "best": self.best,
            "best_weights": self.best_weights,
            "average": self.average.tensors if self.average else {},
            "averaged": self.average.steps if self.average else 0,
        }

    def _restore(self) -> None:
        found = self.team.first(self.watch.checkpoints.load)
        if found is None:
            return
        state = unflatten(*found)
        # Sums over a batch are rounded differently for another number of threads, or of processes.
        if state["processes"] == self.team.size:
            torch.set_num_threads(state["threads"])
        self.objective.module.load_state_dict(state["module"])
        self.optimizer.load_state_dict(state["optimizer"])
        lay_out_as_parameters(self.optimizer)
        for name, source in self.objective.generators.items():
            source.set_state(state["generators"][name])
        self.history = History.from_json(state["history"])
        self.done, self.seconds = state["done"], state["seconds"]
        self.sums = {name: value.to(self.train.device) for name, value in state["sums"].items()}
        self.best, self.best_weights = state["best"], state["best_weights"]
        if self.average:
            device = self.train.device
            self.average.steps = state["averaged"]
            self.average.tensors = {name: tensor.to(device) for name, tensor in state["average"].items()}
