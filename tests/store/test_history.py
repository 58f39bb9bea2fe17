from __future__ import annotations

from pathlib import Path

from nnpipe.cli import main
from nnpipe.store.history import forget_runs, old_runs
from nnpipe.store.store import Store


def store_with(tmp_path: Path, *runs: tuple[str, str]) -> Store:
    """A store with a record for each (spec, artifact), in this order; of one with a * something was measured."""
    store = Store(tmp_path / "store")
    store.prepare()
    for number, (spec, artifact) in enumerate(runs):
        stages = [{"name": "finetune", "artifact": artifact.strip("*")}]
        metrics = {"test_accuracy": 0.5} if "*" in artifact else {}
        store.runs.put({"run": f"20260101-{number:06}-{spec}-0", "spec": spec, "stages": stages, "metrics": metrics})
    return store


def names(store: Store) -> list[str]:
    return [run["run"][9:] for run in store.runs.newest_first()]


def test_the_last_records_of_each_spec_stay(tmp_path: Path) -> None:
    store = store_with(tmp_path, ("a", "1"), ("b", "2"), ("a", "3"), ("a", "4"))
    assert [name[9:] for name in old_runs(store, 1)] == ["000002-a-0", "000000-a-0"]
    assert forget_runs(store, 2, "a") == 1
    assert names(store) == ["000003-a-0", "000002-a-0", "000001-b-0"]


def test_the_record_of_what_a_ref_names_stays(tmp_path: Path) -> None:
    store = store_with(tmp_path, ("a", "1"), ("a", "2"), ("a", "3"))
    store.refs["a/champion"] = "1"
    assert forget_runs(store, 1, "a") == 1
    assert names(store) == ["000002-a-0", "000000-a-0"]


def test_of_many_runs_that_came_to_what_a_ref_names_the_first_stays_the_last_and_the_last_that_measured(
    tmp_path: Path,
) -> None:
    store = store_with(tmp_path, *[("a", "1")] * 3, ("a", "1*"), ("a", "1*"), *[("a", "1")] * 3, ("a", "2"))
    store.refs["a/champion"] = "1"
    assert forget_runs(store, 1, "a") == 5
    assert names(store) == ["000008-a-0", "000007-a-0", "000004-a-0", "000000-a-0"]


def test_gc_removes_records_only_if_it_is_told_to(tmp_path: Path) -> None:
    store = store_with(tmp_path, ("a", "1"), ("a", "2"), ("b", "3"))
    gc = ["gc", "--store", str(store.root), "--grace", "0"]
    assert main(gc) == 0
    assert len(names(store)) == 3
    assert main([*gc, "--keep-records", "1", "--dry-run"]) == 0
    assert len(names(store)) == 3
    assert main([*gc, "--keep-records", "1"]) == 0
    assert names(store) == ["000002-b-0", "000001-a-0"]


def test_a_lock_is_claimed_by_one_and_others_are_told_by_whom(tmp_path: Path) -> None:
    store = store_with(tmp_path)
    with store.claim("a schedule", "the first") as first, store.claim("a schedule", "the second") as second:
        assert (first, second) == (None, "the first")
        assert store.busy("a schedule")
    assert not store.busy("a schedule")
    with store.claim("a schedule", "the third") as third:
        assert third is None
