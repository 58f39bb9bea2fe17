"""Champions and their history: in order, together, by one mover at a time, whoever dies in between."""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
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


def killed_at_step(root: Path, to: str, step: int) -> bool:
    """Move the champion in a child that is killed at its n-th rename; whether it was killed."""
    child = os.fork()
    if not child:
        count, rename = 0, os.replace

        def replace(*words: object) -> None:
            nonlocal count
            count += 1
            if count == step:
                os.kill(os.getpid(), signal.SIGKILL)
            rename(*words)  # type: ignore[arg-type]

        os.replace = replace  # type: ignore[assignment]
        store = Store(root)
        champions = Champions(store)
        champions.move("digits", to, expected=champions.current("digits"), kind="promotion", run=None, reason="")
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL


def test_history_and_ref_agree_wherever_the_mover_was_killed(store: Store) -> None:
    a, b = network(store, 1), network(store, 2)
    move(store, a)
    ended = []
    for step in range(1, 10):
        killed = killed_at_step(store.root, network(store, 2), step)
        champions = Champions(Store(store.root))
        kept = champions.line("digits")  # a ref that lags behind, and what is to replace it
        collect(store, Policy(keep_runs=0, grace=0))
        assert store.artifacts() == sorted(kept)
        moves, current = champions.history("digits"), champions.current("digits")
        assert current == moves[-1].to == store.refs["digits/champion"]
        ended.append(current)
        if not killed:
            break
        if current == b:
            rolled_back(store)
    assert ended == [a, b, b]  # killed before the history was written, before the ref was, and not at all


def promote_often(root: Path, ids: list[str], begin: float) -> None:
    store = Store(root)
    time.sleep(max(0.0, begin - time.time()))
    for id_ in ids:
        champions = Champions(store)
        while not champions.move(
            "digits", id_, expected=champions.current("digits"), kind="promotion", run=str(os.getpid()), reason=""
        ):
            pass


def test_two_processes_that_promote_at_once_lose_no_move(store: Store) -> None:
    ids = [network(store, number) for number in range(20)]
    context = multiprocessing.get_context("fork")
    begin = time.time() + 0.1
    processes = [context.Process(target=promote_often, args=(store.root, half, begin)) for half in (ids[:10], ids[10:])]
    for process in processes:
        process.start()
    for process in processes:
        process.join(30)
        assert process.exitcode == 0
    moves = Champions(store).history("digits")
    assert sorted(each.to for each in moves) == sorted(ids)
    assert [each.before for each in moves] == [None, *(each.to for each in moves[:-1])]
    assert store.refs["digits/champion"] == moves[-1].to
    assert len({each.run for each in moves}) == 2
