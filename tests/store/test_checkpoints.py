from __future__ import annotations

from pathlib import Path

import numpy as np

from nnpipe.store.checkpoints import DiskCheckpoints

STATE = {"weight": np.arange(3, dtype=np.float32), "generator": np.arange(16, dtype=np.uint8)}


def test_the_newest_state_comes_back(tmp_path: Path) -> None:
    checkpoints = DiskCheckpoints(tmp_path, interval=30)
    assert checkpoints.load() is None
    for epoch in (1, 2, 3):
        checkpoints.save({name: value + epoch for name, value in STATE.items()}, {"epoch": epoch, "loss": 0.1})
    loaded = DiskCheckpoints(tmp_path, interval=30).load()
    assert loaded is not None
    tensors, document = loaded
    assert document == {"epoch": 3, "loss": 0.1}
    np.testing.assert_array_equal(tensors["weight"], STATE["weight"] + 3)
    assert len(list(tmp_path.iterdir())) == 2


def test_a_damaged_state_falls_back_to_the_one_before_it(tmp_path: Path) -> None:
    checkpoints = DiskCheckpoints(tmp_path, interval=30)
    checkpoints.save(STATE, {"epoch": 1})
    checkpoints.save(STATE, {"epoch": 2})
    newest = sorted(tmp_path.iterdir())[-1]
    data = bytearray(newest.read_bytes())
    data[len(data) // 2] ^= 1
    newest.write_bytes(data)
    loaded = checkpoints.load()
    assert loaded is not None
    assert loaded[1] == {"epoch": 1}


def test_a_checkpoint_is_due_by_time(tmp_path: Path) -> None:
    assert DiskCheckpoints(tmp_path, interval=0).due()
    assert not DiskCheckpoints(tmp_path, interval=60).due()
