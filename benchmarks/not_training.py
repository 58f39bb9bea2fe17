"""What of a run is not training: the whole process, less the stages that train."""

from __future__ import annotations

import json
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks import ROOT
from benchmarks.data import mnist_folder, write_mnist
from benchmarks.measure import Options, Result, Row, Target, Turn, figures, number, take_turns
from benchmarks.processes import NNPIPE, timed

ROUNDS = 1  # some minutes each
SPEC = ROOT / "specs" / "mnist_convnet.yaml"
TRAINING = ("pretrain", "finetune")


def run(options: Options) -> Result:
    """specs/mnist_convnet.yaml as it stands, from an empty store."""
    with TemporaryDirectory() as scratch:
        folder = Path(scratch)
        variables = {}
        if options.quick or not mnist_folder():
            variables["NNPIPE_DATA"] = str(write_mnist(folder / "data", 100 if options.quick else 1))
        told: list[str] = []

        def carry_out(round_: int) -> Turn:
            words = [*NNPIPE, "run", str(SPEC), "--engine", "local", "--json", "--quiet"]
            words += ["--set", "train.epochs=1"] if options.quick else []
            ended = timed([*words, "--store", folder / str(round_)], folder, **variables)
            share, stages = _share(ended.output.splitlines()[-1], ended.seconds)
            told.append(stages)
            return Turn(share)

        turns = take_turns({"not training": carry_out}, options.rounds_or(ROUNDS))["not training"]
    row = Row("what of a run of mnist_convnet.yaml is not training", "", "%", figures(turns), target=Target("alone", 3))
    about = "The whole process, from an empty store, --engine local"
    return Result(f"{about}. Last round: {told[-1]}.", (row,))


def _share(line: str, whole: float) -> tuple[float, str]:
    """Percent of the process that no training stage took; and every stage's seconds, in words."""
    stages = {stage["name"]: stage["seconds"] for stage in json.loads(line)["stages"]}
    training = sum(took for name, took in stages.items() if name.startswith(TRAINING))
    told = [f"{name} {number(took)} s" for name, took in stages.items()]
    rest = whole - sum(stages.values())
    return 100 * (1 - training / whole), ", ".join([*told, f"start, plan and end {number(rest)} s"])
