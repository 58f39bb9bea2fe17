"""Short versions of the sweeps, as the processes they are: docs/reliability.md tells what the long ones found."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from nnpipe.cli import main
from nnpipe.errors import CorruptionError
from nnpipe.store.store import Store

from .sweeps import cheap_graph

SWEEPS = Path(__file__).parent / "sweeps"


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[str]:
    """In memory where that can be: sweeps are about what is flushed, not about how long a disk takes."""
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if os.access(memory, os.W_OK) else tmp_path) as name:
        yield name


def sweep(name: str, *arguments: str, status: int = 0) -> str:
    """What a sweep prints. Its status is 1 if it finds a failure."""
    done = subprocess.run(
        [sys.executable, SWEEPS / f"{name}.py", *arguments],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == status, done.stdout + done.stderr
    return done.stdout


def test_a_run_killed_at_random_moments_ends_with_the_same_bits(folder: str) -> None:
    told = sweep("kill_sweep", "--spec", "rbm", "--kills", "3", "--longest", "0.9", "--seed", "2", "--where", folder)
    assert "3 kills in " in told  # and as many laps as it takes
    assert ", 0 failures" in told


def test_an_ingestion_killed_at_random_moments_ends_with_the_same_bits(folder: str) -> None:
    options = ("--kills", "2", "--longest", "1.5", "--seed", "1", "--where", folder)
    assert ", 0 failures" in sweep("kill_sweep", "--spec", "reading", *options)


def test_a_fault_of_any_kind_in_any_write_leaves_a_sound_store(folder: str) -> None:
    kinds = ("EIO", "ENOSPC", "kill", "power")
    told = sweep("fault_sweep", "--kinds", *kinds, "--first", "3", "--stride", "23", "--where", folder)
    for kind in kinds:
        assert f"{kind}: " in told


def test_a_file_that_nobody_flushed_would_be_noticed(folder: str) -> None:
    last = ("--kinds", "power", "--first", "200", "--stride", "100", "--where", folder)
    told = sweep("fault_sweep", *last, "--forget", "history.json", status=1)
    assert "history.json: file of an artifact is damaged" in told


def test_a_file_that_cannot_grow_leaves_a_sound_store(folder: str) -> None:
    assert "limit: " in sweep("fault_sweep", "--kinds", "limit", "--stride", "13", "--where", folder)


def test_every_flipped_bit_and_every_cut_is_noticed() -> None:
    assert "50 flips, 50 cuts, 0 not noticed" in sweep("corruption_sweep", "--flips", "50", "--cuts", "50")


@pytest.mark.parametrize("name", ["manifest.json", "model.safetensors", "data.h5", "pictures/one.png"])
def test_the_command_line_tells_a_flipped_bit_by_name(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    artifacts = cheap_graph.run(tmp_path / "artifacts")
    path = Store(tmp_path / "artifacts").directory(artifacts["model"]) / name
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 16
    path.write_bytes(data)
    assert main(["verify", "--store", str(tmp_path / "artifacts")]) == CorruptionError.exit_status
    assert str(path) in capsys.readouterr().err


def test_sixteen_processes_compute_once_and_a_killed_owner_is_replaced() -> None:
    told = sweep("single_flight", "--processes", "16")
    assert "16 processes computed 1 time" in told


def test_a_store_whose_making_was_killed_is_made_by_the_next_run(tmp_path: Path) -> None:
    (tmp_path / ".format.json.0123456789abcdef").write_bytes(b'{"form')
    Store(tmp_path).prepare()
