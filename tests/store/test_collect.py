from __future__ import annotations

import json
import os
import tempfile
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nnpipe.errors import CorruptionError
from nnpipe.store.canonical import canonical_json, digest
from nnpipe.store.collect import Collection, Policy, collect
from nnpipe.store.lease import WEEK, Lease
from nnpipe.store.record import Record
from nnpipe.store.store import Store

LONG_AGO = 1_000_000_000.0
AT_ONCE = Policy(keep_runs=0, grace=0)
KEY = "ab" * 32


@pytest.fixture
def store(tmp_path: Path) -> Store:
    store = Store(tmp_path / "artifacts")
    store.prepare()
    return store


def name_of(number: int) -> str:
    return digest("artifact", number)


def key_of(number: int) -> str:
    return digest("key", number)


def put(store: Store, number: int, parents: tuple[int, ...] = (), *, at: float = LONG_AGO) -> str:
    """An artifact and its recipe as they lie on disk, last used at ``at``."""
    id_, key = name_of(number), key_of(number)
    store.directory(id_).mkdir(parents=True, exist_ok=True)
    (store.directory(id_) / "manifest.json").write_text("{}")
    os.utime(store.directory(id_), (at, at))
    made = {"inputs": {str(parent): name_of(parent) for parent in parents}}
    path = store.recipe_path(key)
    path.parent.mkdir(parents=True, exist_ok=True)
    recipe = {"stage": "finetune"}
    path.write_bytes(canonical_json({"key": key, "artifact": id_, "content": "", "recipe": recipe, "made": made}))
    return id_


def put_run(store: Store, number: int, spec: str, stages: list[int]) -> None:
    made = [{"name": f"stage/{stage}", "artifact": name_of(stage)} for stage in stages]
    path = store.runs.path(f"20200101-{number:06d}-{spec}-0000")
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps({"run": path.stem, "spec": spec, "stages": made}))


def put_ref(store: Store, name: str, number: int) -> None:
    path = store.root / "refs" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(name_of(number) + "\n")


def commit(store: Store, key: str, value: object) -> Record:
    with store.output(key) as output:
        output.json("value", value)
        return store.commit(output, key, "finetune", {"stage": "finetune"}, {"inputs": {}})


def told(collection: Collection) -> list[tuple[str, str, int]]:
    return [(item.what, item.name, item.size) for item in collection.garbage]


def everything(root: Path) -> set[str]:
    return {path.relative_to(root).as_posix() for path in root.rglob("*")}


# -- what stays, against a model of it -----------------------------------------------------------------------


@dataclass
class Model:
    """Artifacts by number: what they are made from, which names and runs hold them, what became of them."""

    parents: list[tuple[int, ...]] = field(default_factory=list)
    refs: set[int] = field(default_factory=set)
    pins: set[int] = field(default_factory=set)
    young: set[int] = field(default_factory=set)
    without_recipe: set[int] = field(default_factory=set)
    lost: set[int] = field(default_factory=set)
    runs: list[tuple[str, list[int]]] = field(default_factory=list)
    keep_runs: int = 0

    def build(self, store: Store) -> None:
        for number, parents in enumerate(self.parents):
            put(store, number, parents, at=time.time() if number in self.young else LONG_AGO)
            if number in self.without_recipe:
                store.recipe_path(key_of(number)).unlink()
            if number in self.lost:
                (store.directory(name_of(number)) / "manifest.json").unlink()
                store.directory(name_of(number)).rmdir()
        for number in self.refs:
            put_ref(store, f"spec-{number}/latest", number)
        for number in self.pins:
            put_ref(store, f"pins/{number}", number)
        for number, (spec, stages) in enumerate(self.runs):
            put_run(store, number, spec, stages)

    def reached(self) -> set[int]:
        found = self.refs | self.pins | (self.young - self.lost)
        for spec in {spec for spec, _ in self.runs}:
            its = [stages for name, stages in self.runs if name == spec]
            for stages in its[max(0, len(its) - self.keep_runs) :]:
                found |= set(stages)
        while True:
            more = {p for number in found - self.without_recipe for p in self.parents[number]} - found
            if not more:
                return found
            found |= more


@st.composite
def models(draw: st.DrawFn) -> Model:
    count = draw(st.integers(1, 8))
    numbers = st.sets(st.integers(0, count - 1))
    parents = [tuple(draw(st.sets(st.integers(0, i - 1), max_size=3))) if i else () for i in range(count)]
    runs = st.tuples(st.sampled_from("ab"), numbers.map(sorted))
    few = st.sets(st.integers(0, count - 1), max_size=2)
    return Model(
        parents,
        draw(few),
        draw(few),
        draw(few),
        draw(few),
        draw(few),
        draw(st.lists(runs, max_size=4)),
        draw(st.integers(0, 2)),
    )


@settings(deadline=None, max_examples=40)
@given(models())
def test_what_goes_is_what_nothing_reaches(model: Model) -> None:
    with tempfile.TemporaryDirectory() as folder:
        store = Store(Path(folder) / "artifacts")
        store.prepare()
        model.build(store)
        policy = Policy(keep_runs=model.keep_runs)
        planned = collect(store, policy, dry_run=True)
        assert told(collect(store, policy)) == told(planned)
        numbers, reached = set(range(len(model.parents))), model.reached()
        assert set(store.artifacts()) == {name_of(n) for n in (numbers - model.lost) & reached}
        assert {r.key for r in store.recipes()} == {key_of(n) for n in (numbers - model.without_recipe) & reached}
        assert len(store.refs.names()) == len(model.refs) + len(model.pins)
        assert collect(store, policy).garbage == ()


def test_an_artifact_made_in_many_ways_keeps_what_the_last_way_needs(store: Store) -> None:
    before, after, empty = put(store, 1), put(store, 2), name_of(3)
    for number, (parent, at) in enumerate([(after, "2020-01-02"), (before, "2020-01-01")]):
        put(store, 3)
        path = store.recipe_path(key_of(3))
        made = {"at": at, "inputs": {"model": parent}}
        record = {**json.loads(path.read_bytes()), "key": key_of(100 + number), "made": made}
        path.unlink()
        store.recipe_path(record["key"]).parent.mkdir(parents=True, exist_ok=True)
        store.recipe_path(record["key"]).write_bytes(canonical_json(record))
    put_ref(store, "pins/empty", 3)
    collect(store, AT_ONCE)
    assert set(store.artifacts()) == {empty, after}


def test_a_dry_run_writes_nothing(store: Store) -> None:
    put(store, 1)
    before = everything(store.root)
    assert [item.what for item in collect(store, AT_ONCE, dry_run=True).garbage] == ["recipe", "artifact"]
    assert everything(store.root) == before


def test_sizes_are_those_on_the_disk(store: Store) -> None:
    put(store, 1)
    (store.directory(name_of(1)) / "data.h5").write_bytes(b"x" * 1000)
    found = collect(store, AT_ONCE)
    assert found.size == 1000 + len("{}") + found.garbage[0].size
    assert not any((store.root / "objects").rglob("*.h5"))


@pytest.mark.parametrize("damage", ["{", "[]", '{"key": 1}'])
def test_nothing_is_removed_while_a_recipe_cannot_be_read(store: Store, damage: str) -> None:
    put(store, 1)
    store.recipe_path(key_of(1)).write_text(damage)
    with pytest.raises(CorruptionError, match=key_of(1)):
        collect(store, AT_ONCE)
    assert store.artifacts() == [name_of(1)]


def test_what_a_killed_collection_left_goes_with_the_next(store: Store) -> None:
    (store.root / "trash" / "old").mkdir(parents=True)
    (store.root / "trash" / "old" / "data.h5").write_bytes(b"x")
    assert told(collect(store, AT_ONCE)) == [("trash", "old", 1)]
    assert not (store.root / "trash").exists()


def test_files_that_are_not_of_the_store_stay(store: Store) -> None:
    (store.root / ".gitignore").write_text("*\n")
    (store.root / "notes").mkdir()
    (store.root / "notes" / "thesis.tex").write_text("years of work")
    assert collect(store, AT_ONCE).garbage == ()
    assert (store.root / "notes" / "thesis.tex").exists()


# -- work under way ------------------------------------------------------------------------------------------


def checkpoint(store: Store, age: float) -> Path:
    path = store.workplace(KEY) / "checkpoint-00000001-x.safetensors"
    path.parent.mkdir(parents=True)
    path.write_bytes(b"state")
    (path.parent / "output-dead").mkdir()
    (path.parent / "output-dead" / "half").write_bytes(b"half")
    os.utime(path, (time.time() - age, time.time() - age))
    return path


def test_a_checkpoint_stays_for_a_week_and_the_output_beside_it_goes(store: Store) -> None:
    path = checkpoint(store, WEEK - 60)
    assert [item.what for item in collect(store, AT_ONCE).garbage] == ["unfinished output"]
    assert path.exists()
    assert not (path.parent / "output-dead").exists()


def test_work_that_nobody_goes_on_with_goes(store: Store) -> None:
    checkpoint(store, WEEK + 60)
    assert told(collect(store, AT_ONCE)) == [("unfinished work", KEY, 9)]
    assert collect(store, AT_ONCE).garbage == ()


def test_work_whose_key_is_held_stays_however_old(store: Store) -> None:
    path = checkpoint(store, 2 * WEEK)
    with store.lock(KEY):
        assert collect(store, AT_ONCE).garbage == ()
    assert (path.parent / "output-dead" / "half").exists()


def test_old_locks_go_unless_they_are_held(store: Store) -> None:
    with store.lock(KEY), store.lock("cd" * 32):
        pass
    for path in (store.root / "locks").iterdir():
        os.utime(path, (LONG_AGO, LONG_AGO))
    with store.lock(KEY):
        os.utime(store.root / "locks" / f"{KEY}.lock", (LONG_AGO, LONG_AGO))
        assert told(collect(store, AT_ONCE)) == [("lock", "cd" * 32, 0)]
        assert store.busy(KEY)


def test_half_written_files_of_dead_writers_go(store: Store) -> None:
    left = store.root / "runs" / f".run.json.{'0' * 32}"
    left.parent.mkdir()
    left.write_bytes(b"half")
    assert collect(store, Policy()).garbage == ()  # somebody may be writing it
    os.utime(left, (LONG_AGO, LONG_AGO))
    assert told(collect(store, Policy())) == [("half-written file", f"runs/{left.name}", 4)]


def test_quarantine_goes_only_when_asked_for(store: Store) -> None:
    moved = store.quarantine(put(store, 1))
    assert "quarantine" not in [item.what for item in collect(store, AT_ONCE).garbage]
    assert moved.exists()
    assert [item.what for item in collect(store, Policy(0, 0, quarantine=True)).garbage] == ["quarantine"]
    assert not moved.exists()


# -- while others train --------------------------------------------------------------------------------------

LIVE = "20200101-000000-spec-0000"


def test_what_a_run_under_way_uses_stays_however_long_it_takes(store: Store) -> None:
    used, unused = put(store, 1, at=1_600_000_000), put(store, 2)
    lease = Lease(store.root, LIVE)  # began on 2020-01-01, and 1_600_000_000 is in September of that year
    assert collect(store, AT_ONCE).live == (LIVE,)
    assert store.artifacts() == [used]
    lease.release()
    assert collect(store, AT_ONCE).live == ()
    assert store.artifacts() == []
    assert unused not in store.artifacts()


def test_a_run_that_was_killed_counts_as_under_way_for_a_week(store: Store) -> None:
    killed = store.runs.name("spec")  # began now
    (store.root / "live").mkdir()
    (store.root / "live" / f"{killed}.lock").touch()
    id_ = put(store, 1, at=time.time())
    time.sleep(0.01)
    assert collect(store, AT_ONCE).live == (killed,)
    assert store.artifacts() == [id_]
    (store.root / "live" / f"{killed}.lock").rename(store.root / "live" / f"{LIVE}.lock")
    assert [item.what for item in collect(store, AT_ONCE).garbage] == ["recipe", "artifact", "lease"]
    assert not list((store.root / "live").iterdir())


def test_a_run_may_end_in_another_thread_than_it_began_in(store: Store) -> None:
    lease = Lease(store.root, LIVE)
    thread = threading.Thread(target=lease.release)
    thread.start()
    thread.join()
    assert collect(store, AT_ONCE).live == ()


def test_what_is_reused_or_committed_again_is_young_again(store: Store) -> None:
    first, second = commit(store, key_of(1), 1), commit(store, key_of(2), 2)
    for record in (first, second):
        os.utime(store.directory(record.artifact), (LONG_AGO, LONG_AGO))
    assert store.reuse(key_of(1)) == first
    assert commit(store, key_of(3), 2).artifact == second.artifact
    assert not [item for item in collect(store, Policy(keep_runs=0)).garbage if item.what == "artifact"]


def test_finding_an_artifact_writes_nothing(store: Store) -> None:
    id_ = put(store, 1)
    assert store.find(key_of(1))
    assert store.directory(id_).stat().st_mtime == LONG_AGO


def test_a_collection_beside_a_run_takes_nothing_that_the_run_makes_or_reuses(store: Store) -> None:
    old = 16
    for number in range(old):
        record = commit(store, key_of(number), number)
        os.utime(store.directory(record.artifact), (LONG_AGO, LONG_AGO))
    lease, held = Lease(store.root, store.runs.name("spec")), []

    def train() -> None:
        for number in range(old):
            found = store.reuse(key_of(number)) if number % 2 else None
            # Every other one is committed under another key: the artifact is there already, or was just removed.
            with store.lock(key_of(1000 + number)):
                held.append(found or commit(store, key_of(1000 + number), number))

    thread = threading.Thread(target=train)
    thread.start()
    collect(store, AT_ONCE)
    while thread.is_alive():
        collect(store, AT_ONCE)
    thread.join()
    collect(store, AT_ONCE)
    assert len(held) == old
    for record in held:
        assert store.find(record.key) == record
        assert store.artifact(record.artifact).json("value") is not None
    assert {record.artifact for record in held} == set(store.artifacts())
    lease.release()
    time.sleep(0.01)
    collect(store, AT_ONCE)
    assert store.artifacts() == []


def test_two_collections_at_once_remove_each_thing_once(store: Store) -> None:
    for number in range(20):
        put(store, number)
    done: list[Collection] = []
    threads = [threading.Thread(target=lambda: done.append(collect(store, AT_ONCE))) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    removed = [item.path for collection in done for item in collection.garbage]
    assert len(removed) == len(set(removed)) == 40
    assert json.loads((store.root / "format.json").read_text()) == {"format": "nnpipe-store/1"}
