"""What Prefect adds to a run with everything to do: ``--engine prefect`` beside ``--engine local``."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.measure import Options, Result, Row, Target, Turn, figures, take_turns
from benchmarks.processes import NNPIPE, timed

ROUNDS = 5
SPEC = """\
version: 1
name: small
data: {source: {kind: two_classes, samples: 500}}
model:
  layers:
    - {kind: dense, units: 20, activation: sigmoid}
    - {kind: dense, units: 1, activation: sigmoid}
train: {loss: mean_squared_error, optimizer: {kind: sgd, learning_rate: 0.5}, epochs: 5, batch_size: 16}
visualize: []
export: [safetensors]
"""


def run(options: Options) -> Result:
    """A small spec, whole processes, a fresh store each time."""
    with TemporaryDirectory() as scratch:
        folder = Path(scratch)
        (folder / "small.yaml").write_text(SPEC)
        engines = {name: _engine(name, folder) for name in ("prefect", "local")}
        for carry_out in engines.values():
            carry_out(-1)  # Prefect's data base is made by a user's first run
        turns = take_turns(engines, options.rounds_or(ROUNDS))
    row = Row(
        "a run of 5 stages with --engine prefect",
        "--engine local",
        "s",
        figures(turns["prefect"]),
        figures(turns["local"]),
        Target("more", 3),
    )
    return Result("Whole processes, by the wall, each with a fresh store; a first run of each not counted.", (row,))


def _engine(name: str, folder: Path) -> Callable[[int], Turn]:
    def carry_out(round_: int) -> Turn:
        store = folder / f"{name}{round_}"
        words: list[str | Path] = [*NNPIPE, "run", folder / "small.yaml", "--store", store, "--engine", name, "--quiet"]
        # No server but the run's own, with a data base that is not the user's.
        return Turn(timed(words, folder, PREFECT_API_URL="", PREFECT_HOME=str(folder / "prefect")).seconds)

    return carry_out
