"""Two processes that share each batch learn what one learns, to rounding. torchrun starts them once for all tests."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file

from nnpipe import api

from . import two_processes as two
from .two_processes import CASES, RESUMED, FileWatch, train

ROOT = Path(__file__).parents[2]
SPEC = """\
version: 1
name: shared
data: {source: {kind: two_classes, samples: 100}}
model:
  layers:
    - {kind: dense, units: 4, activation: tanh}
    - {kind: dropout, rate: 0.2}
    - {kind: dense, units: 1, activation: sigmoid}
train: {loss: mean_squared_error, optimizer: {kind: sgd, learning_rate: 0.5}, epochs: 50, batch_size: 15}
"""


class Found:
    """What two processes left, and the folder where they did."""

    def __init__(self, folder: Path, out: str) -> None:
        self.folder, self.out = folder, out
        self.weights = [load_file(folder / f"weights-{rank}.safetensors") for rank in (0, 1)]
        self.told = [json.loads((folder / f"found-{rank}.json").read_text()) for rank in (0, 1)]

    def of(self, name: str, rank: int = 0) -> dict[str, np.ndarray]:
        place = f"{name}/"
        return {key.removeprefix(place): a for key, a in self.weights[rank].items() if key.startswith(place)}


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> Found:
    folder = tmp_path_factory.mktemp("two")
    torch.set_num_threads(1)
    watch = FileWatch(folder / "by-one.safetensors")
    watch.stopping = two.Wish(two.STOPPED_AT)
    assert two.interrupted(RESUMED, watch)
    (folder / "shared.yaml").write_text(SPEC)
    words = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", "--max-restarts=1"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [*words, two.__file__, folder], env=environment, capture_output=True, text=True, timeout=200, check=False
    )
    assert done.returncode == 0, done.stderr
    return Found(folder, done.stdout)


def assert_close(ours: dict[str, np.ndarray], theirs: dict[str, np.ndarray], rounding: float = 1e-6) -> None:
    assert ours.keys() == theirs.keys()
    for name in ours:
        np.testing.assert_allclose(ours[name], theirs[name], rtol=0, atol=rounding, err_msg=name)


def assert_same_history(told: Any, history: Any) -> None:
    records, stopped, kept = told
    assert [stopped, kept] == [history.stopped, history.kept_epoch]
    for ours, theirs in zip(records, history.without_times(), strict=True):
        assert ours == pytest.approx(theirs, abs=1e-6)


@pytest.mark.parametrize("name", CASES)
def test_two_processes_learn_what_one_learns(found: Found, tmp_path: Path, name: str) -> None:
    weights, history = train(CASES[name], FileWatch(tmp_path / "none"))
    assert_close(found.of(name), weights, CASES[name].rounding)
    assert_same_history(found.told[0]["histories"][name], history)


def test_all_processes_end_with_the_same_bits_and_measures(found: Found) -> None:
    assert found.weights[0].keys() == found.weights[1].keys()
    for name, array in found.weights[0].items():
        assert array.tobytes() == found.weights[1][name].tobytes(), name
    assert found.told[0]["histories"] == found.told[1]["histories"]


def test_what_one_process_began_two_go_on_with(found: Found, tmp_path: Path) -> None:
    weights, history = train(RESUMED, FileWatch(tmp_path / "none"))
    assert_close(found.of("resumed"), weights)
    assert_same_history(found.told[0]["histories"]["resumed"], history)


def test_what_two_processes_began_one_goes_on_with(found: Found, tmp_path: Path) -> None:
    weights, history = train(RESUMED, FileWatch(tmp_path / "none"))
    resumed, after = train(RESUMED, FileWatch(found.folder / "by-two.safetensors"), seed=9)
    assert_close(resumed, weights)
    assert after.without_times()[1] == pytest.approx(history.without_times()[1], abs=1e-6)


def test_one_process_that_is_asked_to_stop_stops_all_and_the_first_keeps_the_checkpoint(found: Found) -> None:
    assert [told["interrupted"] for told in found.told] == [True, True]
    assert [told["saved"] for told in found.told] == [1, 0]


def test_a_process_that_fails_takes_the_others_with_it_and_they_tell_why(found: Found) -> None:
    first, other = (told["failing"] for told in found.told)
    assert other == "no room for another epoch"
    assert first == "process 1 of 2 failed: ValueError: no room for another epoch"


def test_processes_that_start_from_other_weights_are_told_so(found: Found) -> None:
    for told in found.told:
        assert "the processes do not start from the same weights" in told["other weights"]


def test_the_first_process_tells_the_others_what_to_join_in(found: Found) -> None:
    assert [told["leads"] for told in found.told] == [True, False]
    assert found.told[1]["told"] == {"stage": "all"}


def test_a_run_whose_process_was_killed_goes_on_when_torchrun_starts_it_again(found: Found, tmp_path: Path) -> None:
    (answer,) = map(json.loads, found.out.splitlines())  # the first process tells, the other is silent
    assert {stage["name"]: stage["status"] for stage in answer["stages"]}["finetune"] == "resumed"
    store = api.open_store(found.folder / "store")
    last, first = store.runs.newest_first()
    assert (first["status"], last["status"]) == ("failed", "done")
    assert "another process was lost" in first["error"]
    one = api.run(found.folder / "shared.yaml", store=tmp_path, engine="local", device="cpu", until="finetune")
    key = one.stages[-1].key  # one key, however many processes there are
    records = [record for each in (store, one.store) if (record := each.find(key))]
    assert [record.made["processes"] for record in records] == [2, 1]
    assert_close(store.artifact(records[0].artifact).tensors("model")[0], dict(one.tensors()))
