"""A run of two processes under torchrun, one of which is killed: torchrun starts them again, and they go on."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import torch

from nnpipe import api

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
train: {loss: mean_squared_error, optimizer: {kind: sgd, learning_rate: 0.5}, epochs: 100, batch_size: 15}
visualize: []
"""


def kill_a_worker(torchrun: subprocess.Popen[str], store: Path) -> None:
    """The second one, as soon as there is a checkpoint."""
    while not list(store.glob("work/*/checkpoint-*")):
        assert torchrun.poll() is None, torchrun.communicate()
        time.sleep(0.01)
    children = subprocess.run(["pgrep", "-P", str(torchrun.pid)], capture_output=True, text=True, check=True).stdout
    os.kill(max(map(int, children.split())), signal.SIGKILL)


def test_after_a_worker_was_killed_two_processes_go_on_and_learn_what_one_learns(tmp_path: Path) -> None:
    spec, stores = tmp_path / "shared.yaml", [tmp_path / "two", tmp_path / "one"]
    spec.write_text(SPEC)
    words = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", "--max-restarts=1"]
    words += ["-m", "nnpipe", "run", str(spec), "--store", str(stores[0]), "--checkpoint-every", "0.05", "--json"]
    words += ["--until", "finetune"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    with subprocess.Popen(
        words, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as torchrun:
        try:
            kill_a_worker(torchrun, stores[0])
            out, told = torchrun.communicate(timeout=120)
        finally:
            torchrun.kill()
    assert torchrun.returncode == 0, told
    (answer,) = map(json.loads, out.splitlines())  # the first process tells, the other is silent
    assert {stage["name"]: stage["status"] for stage in answer["stages"]}["finetune"] == "resumed"
    two = api.open_store(stores[0])
    last, first = two.runs.newest_first()
    assert (first["status"], last["status"]) == ("failed", "done")
    assert "another process was lost" in first["error"]
    torch.set_num_threads(1)
    one = api.run(spec, store=stores[1], engine="local", device="cpu", until="finetune")
    key = next(stage.key for stage in one.stages if stage.name == "finetune")
    found = [store.find(key) for store in (two, one.store)]  # one key, however many processes there were
    assert [record.made["processes"] for record in found if record] == [2, 1]
    theirs = two.artifact(found[0].artifact).tensors("model")[0] if found[0] else {}
    for name, tensor in one.tensors().items():
        np.testing.assert_allclose(theirs[name], tensor, rtol=0, atol=1e-5)
