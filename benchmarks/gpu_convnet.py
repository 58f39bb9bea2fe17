"""The lecture's network on a GPU, 10 epochs as the lecture has them: the stage as a run has it, then beside peers.

The lecture's own figure, Keras on a Tesla P100, is 72 s and a validation accuracy of 0.9906. It is told, not measured.
"""

from __future__ import annotations

import os
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks import ROOT
from benchmarks.convnet import KERAS, OURS, PLAIN, Lesson, contest
from benchmarks.data import images, mnist_folder, write_mnist
from benchmarks.gpu import need_gpu
from benchmarks.measure import Options, Result, Row, Turn, figures, number, quality, take_turns
from benchmarks.training import compared
from nnpipe import api

ROUNDS = 1
EPOCHS = 10
LECTURE = "told in 2019: Keras on a Tesla P100, 72 s, 0.9906"


def run(options: Options) -> Result:
    """``specs/lecture/convnet.yaml`` up to its training; then training alone, beside Keras and a plain loop."""
    gpu, rounds = need_gpu(), options.rounds_or(ROUNDS)
    epochs, train, test = (1, 600, 100) if options.quick else (EPOCHS, 60_000, 10_000)
    lesson = Lesson(images("train", train), images("test", test), epochs, "cuda")
    with TemporaryDirectory() as scratch:
        folder = Path(scratch)
        if options.quick or not mnist_folder():
            os.environ["NNPIPE_DATA"] = str(write_mnist(folder / "data", 100 if options.quick else 1))
        whole = take_turns({"nnpipe run": lambda round_: _stage(folder / str(round_), epochs)}, rounds)["nnpipe run"]
    turns = contest(lesson, rounds)
    told = f"test accuracy {number(quality(whole))}; {LECTURE}"
    work = f"training the lecture's network, {epochs} epochs"
    stage = Row(f"{work}, the stage with validation", "", "s", figures(whole), note=told)
    rows = compared(f"{work}, on a GPU", turns, OURS, dict.fromkeys((PLAIN, KERAS), None), "test accuracy")
    about = f"{train:,} {lesson.train.source}, batch 32, Adam, float32 unless told; {gpu}"
    return Result(
        f"{about}. The stage measures {test:,} test images after each epoch, and looks inside.", (stage, *rows)
    )


def _stage(store: Path, epochs: int) -> Turn:
    done = api.run(
        ROOT / "specs" / "lecture" / "convnet.yaml",
        set={"train.epochs": epochs},
        store=store,
        until="finetune",
        engine="local",
        device="cuda",
    )
    seconds = next(stage.seconds for stage in done.stages if stage.name == "finetune")
    return Turn(seconds, done.artifact("finetune").summary["val_accuracy"])
