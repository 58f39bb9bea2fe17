"""Pretraining 500-500-2000 on a GPU, specs/mnist_dbn.yaml: three RBMs, 50 epochs each."""

from __future__ import annotations

import os
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks import ROOT
from benchmarks.data import images, mnist_folder, write_mnist
from benchmarks.gpu import need_gpu
from benchmarks.measure import Options, Result, Row, Turn, figures, number, take_turns
from benchmarks.rbm import HIDDEN, OURS, RBMS, Lesson, contest, flat
from benchmarks.training import compared
from nnpipe import api

ROUNDS = 1
EPOCHS, LAYERS = 50, 3


def run(options: Options) -> Result:
    """The stages as a run has them; then one RBM alone, beside the package rbms."""
    gpu, rounds = need_gpu(), options.rounds_or(ROUNDS)
    epochs, count = (1, 600) if options.quick else (EPOCHS, 60_000)
    found = images("train", count)
    layers: list[str] = []
    with TemporaryDirectory() as scratch:
        folder = Path(scratch)
        if options.quick or not mnist_folder():
            os.environ["NNPIPE_DATA"] = str(write_mnist(folder / "data", 100 if options.quick else 1))

        def pretrain(round_: int) -> Turn:
            validation = count // 6
            done = api.run(
                ROOT / "specs" / "mnist_dbn.yaml",
                set={"pretrain.epochs": epochs, "data.validation": validation},
                store=folder / str(round_),
                until=f"pretrain/{LAYERS}",
                engine="local",
                device="cuda",
            )
            taken = {stage.name: stage.seconds for stage in done.stages if stage.name.startswith("pretrain")}
            layers.append(", ".join(f"{name} {number(seconds)} s" for name, seconds in taken.items()))
            return Turn(sum(taken.values()))

        turns = take_turns({"pretraining": pretrain}, rounds)["pretraining"]
    whole = Row(f"pretraining 500-500-2000, {epochs} epochs a layer", "", "s", figures(turns), note=layers[-1])
    beside = contest(Lesson(flat(found), max(1, epochs // 10), "cuda"), rounds)
    rows = compared(f"an RBM of 784-{HIDDEN} by CD-1, on a GPU", beside, OURS, {RBMS: None}, "reconstruction error")
    about = f"{found.source}, {count:,}, of which the stages hold a sixth back; batch 100, CD-1, float32 unless told"
    return Result(f"{about}; {gpu}.", (whole, *rows))
