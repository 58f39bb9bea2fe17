"""Fits that one process does, or two that torchrun started with this as their script; what came out is left in files.

torchrun --standalone --nproc-per-node 2 --max-restarts 1 two_processes.py FOLDER

Then they are ``nnpipe run FOLDER/shared.yaml``, and one is killed; the two that torchrun starts next are only that.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event, Thread
from typing import Any

import numpy as np
import torch
from safetensors.numpy import load_file, save_file

from nnpipe.cli import main
from nnpipe.errors import Interrupted, StageError
from nnpipe.models.architecture import Model
from nnpipe.models.network import Network
from nnpipe.models.scaling import Scaling
from nnpipe.training.augmentation.elastic import Elastic
from nnpipe.training.augmentation.shift import Shift
from nnpipe.training.averaging import Ema
from nnpipe.training.classification import Classification
from nnpipe.training.early_stopping import EarlyStopping
from nnpipe.training.examples import Examples
from nnpipe.training.history import History
from nnpipe.training.inspection import NetworkInspector
from nnpipe.training.loop import fit
from nnpipe.training.losses.cross_entropy import CrossEntropy
from nnpipe.training.optimizers.adam import Adam
from nnpipe.training.optimizers.conjugate_gradient import ConjugateGradient
from nnpipe.training.optimizers.optimizer import Optimizer
from nnpipe.training.optimizers.sgd import Sgd
from nnpipe.training.regime import Regime
from nnpipe.training.regularisation import Regularisation
from nnpipe.training.team import ALONE, Alone, Team, team_of_this_process

SMALL = {"kind": "conv2d", "filters": 4, "kernel": 3, "activation": "relu"}
END = [{"kind": "dense", "units": 3, "activation": "softmax"}]


@dataclass(frozen=True)
class Case:
    layers: list[Any]
    optimizer: Optimizer = Adam(learning_rate=0.01)  # noqa: RUF009 - it is frozen
    examples: int = 62
    regime: dict[str, Any] = field(default_factory=dict)
    rounding: float = 1e-6


CASES = {
    # 62 = 4 * 15 + 2: batches of 7 and 8, and one of 1 and 1.
    "dropout": Case([SMALL, {"kind": "max_pool2d", "size": 2}, "flatten", {"kind": "dropout", "rate": 0.4}, *END]),
    "noise of images": Case([SMALL, {"kind": "dropout", "rate": 0.2, "noise": "gaussian"}, "flatten", *END]),
    "batch statistics": Case([SMALL, "batch_norm", "global_average_pool2d", *END], Sgd(learning_rate=0.1)),
    "residual": Case(
        [{"kind": "residual", "layers": [{**SMALL, "filters": 2, "padding": "same"}, "batch_norm"]}, "flatten", *END]
    ),
    "an empty share": Case([SMALL, "batch_norm", "flatten", {"kind": "dropout", "rate": 0.4}, *END], examples=31),
    "augmentation": Case([SMALL, "flatten", *END], regime={"augmentation": (Shift(pixels=1), Elastic(alpha=4))}),
    # A search along a line makes what rounding does larger, and the next one again.
    "a line search": Case(
        ["flatten", *END], ConjugateGradient(line_searches=1), regime={"batch_size": "full"}, rounding=1e-5
    ),
    "limits": Case(
        ["flatten", *END],
        Sgd(learning_rate=0.1, momentum=0.9),
        regime={
            "regularisation": Regularisation(l2=0.01, clip_norm=0.5, max_norm=2.0),
            "averaging": Ema(decay=0.9),
            "early_stopping": EarlyStopping(patience=1),
            "epochs": 3,
        },
    ),
}
RESUMED = Case(CASES["an empty share"].layers, regime={"epochs": 2})
STOPPED_AT = 3  # looks at the wish to stop


def images(count: int, seed: int) -> Examples:
    draw = torch.Generator().manual_seed(seed)
    x = torch.randint(0, 256, (count, 2, 6, 6), dtype=torch.uint8, generator=draw)
    return Examples(x, torch.randint(0, 3, (count,), generator=draw), Scaling(scale=255.0))


class FileWatch:
    """Checkpoints in one file, at each look if ``due``; asks to stop at a look of its own."""

    def __init__(self, file: Path, stop_at: int = 0) -> None:
        self.file, self.stopping, self.looks, self.stop_at = file, Event(), 0, stop_at
        self.saved = 0

    @property
    def checkpoints(self) -> FileWatch:
        return self

    def load(self) -> tuple[dict[str, np.ndarray], Any] | None:
        if not self.file.exists():
            return None
        return load_file(self.file), json.loads(self.file.with_suffix(".json").read_text())

    def save(self, tensors: Any, document: Any) -> None:
        self.saved += 1
        save_file({name: np.ascontiguousarray(value) for name, value in tensors.items()}, self.file)
        self.file.with_suffix(".json").write_text(json.dumps(document))

    def due(self) -> bool:
        return False

    def epoch(self, record: Any, epochs: int) -> None: ...

    def advanced(self, done: int, total: int, measures: Any) -> None: ...


class Wish(Event):
    """Set from the n-th look on."""

    def __init__(self, looks: int) -> None:
        super().__init__()
        self.looks = looks

    def is_set(self) -> bool:
        self.looks -= 1
        return self.looks <= 0


def train(case: Case, watch: Any, team: Alone = ALONE, seed: int = 0) -> tuple[dict[str, np.ndarray], History]:
    """The weights, and what happened. seed: of first weights."""
    model = Model.model_validate({"layers": case.layers})
    network = Network(model, (2, 6, 6), Scaling(), ["a", "b", "c"], torch.Generator().manual_seed(seed))
    objective = Classification(network, CrossEntropy())
    train, validation = images(case.examples, 0), images(21, 1)
    history = fit(
        objective,
        case.optimizer.build(network.parameters()),
        train,
        validation,
        Regime(**{"epochs": 1, "batch_size": 15, **case.regime}),
        seed=5,
        watch=watch,
        inspector=NetworkInspector(network, objective, train),
        team=team,
    )
    return {name: tensor.numpy() for name, tensor in network.state_dict().items()}, history


def interrupted(case: Case, watch: Any, team: Alone = ALONE) -> bool:
    try:
        train(case, watch, team)
    except Interrupted:
        return True
    return False


class Failing(FileWatch):
    """Fails when an epoch is over."""

    def epoch(self, record: Any, epochs: int) -> None:
        raise ValueError("no room for another epoch")


def failure(team: Team, watch: Any, seed: int = 0) -> str:
    """What a process says of a fit that fails."""
    team.tell({}) if team.leads else team.next(Event())
    try:
        with team.together("cpu"):
            train(RESUMED, watch, team, seed)
    except (StageError, ValueError) as error:
        return str(error)
    return ""


def all_fits(folder: Path, team: Team) -> None:
    torch.set_num_threads(1)
    found: dict[str, Any] = {"rank": team.rank, "leads": team.leads, "histories": {}}
    weights: dict[str, np.ndarray] = {}

    def keep(name: str, result: tuple[dict[str, np.ndarray], History]) -> None:
        weights.update({f"{name}/{key}": np.ascontiguousarray(value) for key, value in result[0].items()})
        found["histories"][name] = [result[1].without_times(), result[1].stopped, result[1].kept_epoch]

    team.tell({"stage": "all"}) if team.leads else found.update(told=team.next(Event()))
    with team.together("cpu"):
        for name, case in CASES.items():
            keep(name, train(case, FileWatch(folder / "none"), team))
        # One process has left a checkpoint in the middle of its first epoch.
        # On another machine the others would find none.
        begun = folder / ("by-one.safetensors" if team.leads else "none")
        keep("resumed", train(RESUMED, FileWatch(begun), team, seed=9))
        # Only the other process is asked to stop.
        watch = FileWatch(folder / "by-two.safetensors")
        watch.stopping = Event() if team.leads else Wish(1)
        found["interrupted"] = interrupted(RESUMED, watch, team)
        found["saved"] = watch.saved
    found["other weights"] = failure(team, FileWatch(folder / "none"), seed=team.rank)
    found["failing"] = failure(team, FileWatch(folder / "none") if team.leads else Failing(folder / "none"))
    save_file(weights, folder / f"weights-{team.rank}.safetensors")
    (folder / f"found-{team.rank}.json").write_text(json.dumps(found))


def die_after_a_checkpoint(store: Path) -> None:
    while not list(store.glob("work/*/checkpoint-*")):
        time.sleep(0.005)
    os.kill(os.getpid(), signal.SIGKILL)


def in_company(folder: Path, team: Team) -> int:
    if not (folder / f"found-{team.rank}.json").exists():
        all_fits(folder, team)
        if not team.leads:
            Thread(target=die_after_a_checkpoint, args=(folder / "store",), daemon=True).start()
    words = ["--store", str(folder / "store"), "--until", "finetune", "--checkpoint-every", "0.05", "--json"]
    return main(["run", str(folder / "shared.yaml"), *words])


if __name__ == "__main__":
    company = team_of_this_process()
    assert company is not None
    sys.exit(in_company(Path(sys.argv[1]), company))
