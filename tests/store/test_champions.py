"""Champions and their history: in order, together, by one mover at a time, whoever dies in between."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from nnpipe.errors import CorruptionError, StoreError, UsageError
from nnpipe.store.canonical import digest
from nnpipe.store.champions import Champions, Kind
from nnpipe.store.collect import Policy, collect
from nnpipe.store.store import Store

LONG_AGO = 1_000_000_000.0


@pytest.fixture
def store(tmp_path: Path) -> Store:
    store = Store(tmp_path / "artifacts")
    store.prepare()
    return store


def network(store: Store, number: int) -> str:
    """The id of an artifact that lies in the store, last used long ago."""
    id_ = digest("artifact", number)
    store.directory(id_).mkdir(parents=True, exist_ok=True)
    (store.directory(id_) / "manifest.json").write_text("{}")
    os.utime(store.directory(id_), (LONG_AGO, LONG_AGO))
    return id_


def move(store: Store, to: str, kind: Kind = "promotion", name: str = "digits") -> None:
    champions = Champions(store)
    assert champions.move(name, to, expected=champions.current(name), kind=kind, run="a-run", reason="better")


def rolled_back(store: Store) -> None:
    move(store, Champions(store).line("digits")[-2], "rollback")


def test_a_champion_moves_and_its_history_tells_from_what_to_what(store: Store) -> None:
    a, b = network(store, 1), network(store, 2)
    assert Champions(store).current("digits") is None
    assert Champions(store).history("digits") == []
    move(store, a)
    move(store, b)
    assert store.refs["digits/champion"] == b
    moves = Champions(store).history("digits")
    assert [(each.before, each.to) for each in moves] == [(None, a), (a, b)]
    assert [each.run for each in moves] == ["a-run"] * 2
    assert Champions(store).names() == ["digits"]
    assert set(moves[0].to_json()) == {"name", "kind", "at", "from", "to", "run", "reason", "verdict"}


def test_who_expects_another_champion_moves_nothing(store: Store) -> None:
    a, b, c = (network(store, number) for number in (1, 2, 3))
    move(store, a)
    assert not Champions(store).move("digits", c, expected=b, kind="promotion", run=None, reason="late")
    assert not Champions(store).move("digits", c, expected=None, kind="promotion", run=None, reason="late")
    assert Champions(store).current("digits") == a
    assert len(Champions(store).history("digits")) == 1


def test_an_artifact_that_is_gone_is_no_champion(store: Store) -> None:
    with pytest.raises(StoreError, match="the network is gone"):
        move(store, "ab" * 32)
    assert Champions(store).current("digits") is None


@pytest.mark.parametrize("name", ["../outside", "a/b", ".hidden"])
def test_a_name_leads_nowhere_else(store: Store, name: str, tmp_path: Path) -> None:
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(UsageError, match="not the name of a champion"):
        Champions(store).move(name, network(store, 1), expected=None, kind="forced", run=None, reason="")
    assert not [p for p in tmp_path.rglob("*") if p not in before and p.suffix == ".json" and "objects" not in p.parts]


def test_back_is_to_the_champion_before_and_again_to_the_one_before_that(store: Store) -> None:
    a, b, c, d = (network(store, number) for number in range(4))
    for each in (a, b, c):
        move(store, each)
    rolled_back(store)
    assert Champions(store).current("digits") == b
    move(store, d)
    assert Champions(store).line("digits") == [a, b, d]
    rolled_back(store)
    rolled_back(store)
    assert Champions(store).line("digits") == [a]
    assert len(Champions(store).history("digits")) == 7


def test_a_ref_that_was_moved_by_hand_counts(store: Store) -> None:
    a, b, c = (network(store, number) for number in range(3))
    move(store, a)
    store.refs["digits/champion"] = b
    assert Champions(store).line("digits") == [a, b]
    move(store, c)
    assert Champions(store).line("digits") == [a, b, c]
    assert [each.before for each in Champions(store).history("digits")] == [None, b]


def test_a_damaged_move_is_named_and_nothing_is_collected(store: Store) -> None:
    move(store, network(store, 1))
    (path,) = (store.root / "moves" / "digits").iterdir()
    path.write_text('{"name": "digits"}')
    with pytest.raises(CorruptionError, match="not the move of a champion"):
        Champions(store).history("digits")
    with pytest.raises(CorruptionError, match=path.name):
        collect(store, Policy(keep_runs=0, grace=0))


def test_collection_keeps_the_champion_and_those_it_can_go_back_to(store: Store) -> None:
    ids = [network(store, number) for number in range(5)]
    for each in ids:
        move(store, each)
    collect(store, Policy(keep_runs=0, grace=0))
    assert store.artifacts() == sorted(ids[2:])
    collect(store, Policy(keep_runs=0, grace=0, keep_champions=2))
    assert store.artifacts() == sorted(ids[3:])
    rolled_back(store)
    collect(store, Policy(keep_runs=0, grace=0))
    assert store.artifacts() == [ids[3]]
    assert len(Champions(store).history("digits")) == 6


# -- whoever dies, whoever else moves ------------------------------------------------------------------------


MOVER = """
import os, signal, sys
from pathlib import Path
from nnpipe.store.champions import Champions
from nnpipe.store.store import Store

root, step, *ids = sys.argv[1:]
count, rename = 0, os.replace

def replace(*words):
    global count
    count += 1
    if count == int(step):
        os.kill(os.getpid(), signal.SIGKILL)
    rename(*words)

os.replace = replace
champions = Champions(Store(Path(root)))
print("ready", flush=True)
sys.stdin.readline()
for to in ids:
    run = str(os.getpid())
    while not champions.move(
        "digits", to, expected=champions.current("digits"), kind="promotion", run=run, reason=""
    ):
        pass
"""


def mover(root: Path, ids: list[str], killed_at: int = 0) -> subprocess.Popen[str]:
    """A process that makes each of ``ids`` the champion when it is told to begin; it may be killed at a rename."""
    words = [sys.executable, "-c", MOVER, str(root), str(killed_at), *ids]
    process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


def ended(process: subprocess.Popen[str]) -> int:
    process.communicate("begin\n", timeout=60)
    return process.returncode


def test_history_and_ref_agree_wherever_the_mover_was_killed(store: Store) -> None:
    a = network(store, 1)
    move(store, a)
    found = []
    for step in (1, 2, 3):
        b = network(store, 2)
        status = ended(mover(store.root, [b], killed_at=step))
        champions = Champions(Store(store.root))
        kept = champions.line("digits")  # the ref lags behind, or nothing happened
        collect(store, Policy(keep_runs=0, grace=0))
        assert store.artifacts() == sorted(kept)
        moves, current = champions.history("digits"), champions.current("digits")
        assert current == moves[-1].to == store.refs["digits/champion"]
        found.append((status, current == b))
        if current == b:
            rolled_back(store)
    # Before the history was written, before the ref was, and not at all.
    assert found == [(-signal.SIGKILL, False), (-signal.SIGKILL, True), (0, True)]


def test_two_processes_that_promote_at_once_lose_no_move(store: Store) -> None:
    ids = [network(store, number) for number in range(20)]
    movers = [mover(store.root, half) for half in (ids[:10], ids[10:])]
    with ThreadPoolExecutor() as pool:
        assert list(pool.map(ended, movers)) == [0, 0]
    moves = Champions(store).history("digits")
    assert sorted(each.to for each in moves) == sorted(ids)
    assert [each.before for each in moves] == [None, *(each.to for each in moves[:-1])]
    assert store.refs["digits/champion"] == moves[-1].to
    assert len({each.run for each in moves}) == 2
