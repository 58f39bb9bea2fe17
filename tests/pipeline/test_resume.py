"""A run that was stopped while it read its data, seen from outside: plan, collection, status."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Mapping
from pathlib import Path

import pytest

import nnpipe
from nnpipe.stages.work import Silent
from nnpipe.store.collect import Policy, collect
from nnpipe.store.lease import WEEK
from nnpipe.store.store import Store
from tests.pipeline.conftest import miniature, plan, run

AT_ONCE = Policy(keep_runs=0, grace=0)


class Signals(Silent):
    """Sends a signal to this process as soon as a part of the data was read."""

    def __init__(self, number: signal.Signals) -> None:
        self.number = number

    def advanced(self, stage: str, done: int, total: int, measures: Mapping[str, float]) -> None:
        os.kill(os.getpid(), self.number)


def interrupt(store: Path, number: signal.Signals) -> None:
    with pytest.raises(nnpipe.Interrupted):
        nnpipe.run(miniature(), store=store, engine="local", observer=Signals(number), until="ingest")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_while_data_are_read_costs_nothing_of_them(
    tmp_path: Path, filled: Path, number: signal.Signals
) -> None:
    interrupt(tmp_path / "artifacts", number)
    store = Store(tmp_path / "artifacts")
    planned = plan(store, until="ingest")
    assert planned["ingest"].status == "resume"
    assert [item.what for item in collect(store, AT_ONCE).garbage if "work" in item.what or "output" in item.what] == []
    (found,) = run(store, until="ingest").stages
    assert found.status == "resumed"
    (expected,) = run(Store(filled), until="ingest").stages
    assert found.artifact == expected.artifact
    assert list((store.root / "work").iterdir()) == []


def test_what_was_read_goes_with_its_checkpoints_when_nobody_goes_on_for_a_week(tmp_path: Path) -> None:
    interrupt(tmp_path / "artifacts", signal.SIGINT)
    store = Store(tmp_path / "artifacts")
    (folder,) = (store.root / "work").iterdir()
    assert sorted(path.name.split("-")[0] for path in folder.iterdir()) == ["checkpoint", "scratch"]
    for path in folder.glob("checkpoint-*"):
        os.utime(path, (time.time() - WEEK - 60,) * 2)
    collect(store, AT_ONCE)
    assert list((store.root / "work").iterdir()) == []
    assert run(store, until="ingest").stages[0].status == "computed"


def test_data_that_turn_out_broken_leave_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise nnpipe.DataError("all training examples are of one class")

    monkeypatch.setattr("nnpipe.datasets.answers.Classes.check", refuse)
    with pytest.raises(nnpipe.DataError, match="of one class"):
        run(Store(tmp_path / "artifacts"), until="ingest")
    assert list((tmp_path / "artifacts" / "work").iterdir()) == []
