"""Two machines, which share nothing but a place: each has a cache of its own."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import numpy as np
import pytest

from nnpipe.errors import CorruptionError, UsageError
from nnpipe.store.champions import Champions
from nnpipe.store.collect import Policy
from nnpipe.store.opening import cache_of, is_url, normal, open_store, place_of
from nnpipe.store.record import Record
from nnpipe.store.shared.collect import collect_shared
from nnpipe.store.shared.objects import RemoteError, objects_at
from nnpipe.store.shared.remote import Remote
from nnpipe.store.shared.store import SharedStore
from nnpipe.store.shared.transfer import bundle, pull, push
from nnpipe.store.store import Store

KEY, OTHER = "ab" * 32, "cd" * 32
Machine = Callable[[str], SharedStore]


@pytest.fixture
def machine(place: str, tmp_path: Path) -> Machine:
    """Opens the shared store on the machine called so; what it tells people is in ``told`` of the answer."""
    return opener(place, tmp_path)


@pytest.fixture
def on_s3(bucket, tmp_path: Path) -> Machine:
    return opener(bucket.url, tmp_path)


def opener(place: str, folder: Path) -> Machine:
    objects = objects_at(place)

    def opened(name: str) -> SharedStore:
        told: list[str] = []
        store = SharedStore(folder / name, Remote(objects), told.append)
        store.told_people = told  # type: ignore[attr-defined]
        return store

    return opened


def put(store: Store, key: str = KEY, values: int = 6, **made: object) -> Record:
    store.prepare()
    with store.lock(key), store.output(key) as output:
        output.tensors("model", {"weight": np.arange(values, dtype=np.float32)}, {"kind": "dense"})
        output.json("history", [{"epoch": 1}])
        return store.commit(output, key, "finetune", {"stage": "finetune", "n": values}, made)


def weights(store: Store, id_: str) -> list[float]:
    return store.artifact(id_).tensors("model")[0]["weight"].tolist()


# -- reading and writing -------------------------------------------------------------------------------------


def test_what_one_machine_made_another_finds_and_fetches_when_it_is_read(machine):
    a, b = machine("a"), machine("b")
    record = put(a)
    assert b.find(KEY) == record
    assert b.sound(record.artifact)
    assert b.artifact(record.artifact).manifest == a.artifact(record.artifact).manifest
    assert not b.here(record.artifact)
    assert weights(b, record.artifact) == [0, 1, 2, 3, 4, 5]
    assert b.here(record.artifact)
    assert Store(b.root).artifact(record.artifact).json("history") == [{"epoch": 1}]


def test_the_remote_place_is_itself_a_store(tmp_path):
    record = put(opener(f"file://{tmp_path / 'nfs'}", tmp_path)("a"))
    there = Store(tmp_path / "nfs")
    assert there.find(KEY) == record
    assert weights(there, record.artifact) == [0, 1, 2, 3, 4, 5]


def test_what_it_costs_in_requests(on_s3, bucket):
    a = on_s3("a")
    a.prepare()
    bucket.asked()
    record = put(a)
    home = f"objects/{record.artifact[:2]}/{record.artifact}"
    made = bucket.asked()
    assert sorted(made[3:5]) == [f"PUT {home}/history.json", f"PUT {home}/model.safetensors"]
    assert made[:3] + made[5:] == [
        "GET format.json",
        f"PUT leases/{KEY}/1",
        f"GET {home}/manifest.json",
        f"PUT {home}/manifest.json",
        f"PUT recipes/ab/{KEY}.json",
        f"DELETE leases/{KEY}/1",
    ]
    b = on_s3("b")
    assert b.find(KEY)
    assert bucket.asked() == [f"GET recipes/ab/{KEY}.json", f"GET {home}/manifest.json"]
    weights(b, record.artifact)
    assert sorted(bucket.asked()) == [f"GET {home}/history.json", f"GET {home}/model.safetensors"]
    weights(b, record.artifact)
    assert a.find(KEY)
    assert a.reuse(KEY)
    assert bucket.asked() == []


def test_of_two_results_of_one_recipe_all_use_the_first(machine):
    a, b = machine("a"), machine("b")
    a.prepare()
    b.prepare()
    first = put(a, values=6)
    with b.output(KEY) as output:  # without a lease, as a machine that slept through the end of its own
        output.tensors("model", {"weight": np.zeros(3, np.float32)})
        assert b.commit(output, KEY, "finetune", {"stage": "finetune"}, {}) == first
    assert b.find(KEY) == first
    assert weights(b, first.artifact) == [0, 1, 2, 3, 4, 5]
    assert machine("c").find(KEY) == first


def test_what_many_want_at_once_is_computed_once(machine):
    begin, computed = Barrier(3, timeout=20), itertools.count()

    def compute(name: str) -> Record:
        store = machine(name)
        store.prepare()
        begin.wait()
        with store.lock(KEY):
            record = store.find(KEY)
            if record is None:
                next(computed)
                with store.output(KEY) as output:
                    output.json("history", [])
                    record = store.commit(output, KEY, "finetune", {"stage": "finetune"}, {})
            return record

    with ThreadPoolExecutor(3) as pool:
        records = list(pool.map(compute, "abc"))
    assert next(computed) == 1
    assert len({record.artifact for record in records}) == 1


HOLDER = """
import sys, time
from nnpipe.store.opening import open_store
store = open_store(sys.argv[1])
store.prepare()
with store.lock(sys.argv[2], owner="a machine that dies"):
    print("holding", flush=True)
    time.sleep(60)
"""


def test_a_machine_that_is_killed_at_work_is_replaced_after_its_silence(bucket, tmp_path):
    env = {**os.environ, "NNPIPE_CACHE": str(tmp_path / "dead"), "NNPIPE_LEASE": "1"}
    command = [sys.executable, "-c", HOLDER, bucket.url, KEY]
    told: list[str] = []
    with subprocess.Popen(command, env=env, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "holding\n"
        holder.kill()
    store = opener(bucket.url, tmp_path)("heir")
    began = time.monotonic()
    with store.lock(KEY, waiting=told.append):
        assert 1 <= time.monotonic() - began < 10
    assert told == ["a machine that dies"]
    assert put(store).key == KEY


# -- damage --------------------------------------------------------------------------------------------------


def test_a_damaged_object_is_noticed_moved_aside_and_made_again(machine):
    a, b = machine("a"), machine("b")
    record = put(a)
    name = f"objects/{record.artifact[:2]}/{record.artifact}/model.safetensors"
    whole = a.remote.objects.read(name)
    a.remote.objects.write(name, whole[:-1] + b"!")
    with pytest.raises(CorruptionError, match="damaged") as caught:
        weights(b, record.artifact)
    assert name in str(caught.value)
    assert not b.here(record.artifact)
    assert not b.sound(record.artifact)
    moved = str(b.quarantine(record.artifact))
    assert f"quarantine/{record.artifact}" in moved
    assert b.find(KEY) is None
    put(b)
    assert weights(machine("c"), record.artifact) == [0, 1, 2, 3, 4, 5]
    aside = [e.name for e in a.remote.objects.entries("quarantine")]
    assert len(aside) == 3
    assert a.remote.objects.read(next(n for n in aside if n.endswith("model.safetensors"))) == whole[:-1] + b"!"


def test_a_damaged_copy_here_gives_way_to_the_one_there(machine):
    a, b = machine("a"), machine("b")
    record = put(a)
    weights(b, record.artifact)
    (b.directory(record.artifact) / "model.safetensors").write_bytes(b"x")
    assert b.sound(record.artifact)  # there is another one
    b.quarantine(record.artifact)
    assert weights(b, record.artifact) == [0, 1, 2, 3, 4, 5]


def test_verify_reads_what_is_there_and_the_good_copy_here_takes_its_place(machine):
    a = machine("a")
    record = put(a)
    assert a.damage(record.artifact) == []
    name = f"objects/{record.artifact[:2]}/{record.artifact}/history.json"
    a.remote.objects.write(name, b"[]")
    assert [problem for problem in a.damage(record.artifact) if name in problem]
    a.quarantine(record.artifact)
    assert a.damage(record.artifact) == []
    assert machine("b").artifact(record.artifact).json("history") == [{"epoch": 1}]


def test_a_recipe_that_was_never_written_by_us_is_none(machine):
    b = machine("b")
    b.prepare()
    for forged in (b"{}", b"[]", b'{"key": "x"}', b"not JSON"):
        b.remote.objects.write(f"recipes/ab/{KEY}.json", forged)
        assert b.find(KEY) is None
    record = put(b)
    assert machine("c").find(KEY) == record


def test_a_recipe_that_leads_out_of_the_store_is_none(machine):
    record = put(machine("a"))
    forged = Record(KEY, "../../etc", record.content, {}, {})
    from nnpipe.store.record import record_bytes

    machine("a").remote.objects.write(f"recipes/ab/{KEY}.json", record_bytes(forged))
    assert machine("b").find(KEY) is None


# -- the network ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("cut", ["model.safetensors", "manifest.json", f"recipes/ab/{KEY}.json"])
def test_an_upload_that_broke_off_leaves_no_recipe_and_is_sent_later(on_s3, bucket, cut):
    a, b = on_s3("a"), on_s3("b")
    a.prepare()
    bucket.server.fails = lambda request: request.startswith("PUT") and request.endswith(cut)
    record = put(a)
    assert weights(a, record.artifact) == [0, 1, 2, 3, 4, 5]
    assert len(a.told_people) == 1
    assert "nnpipe push" in a.told_people[0]
    bucket.server.fails = lambda _: False
    assert b.find(KEY) is None
    again = on_s3("a")  # the next process
    again.prepare()
    assert again.find(KEY) == b.find(KEY) == record
    assert weights(b, record.artifact) == [0, 1, 2, 3, 4, 5]
    assert len(again.outbox) == 0


def test_a_run_goes_on_in_the_cache_while_the_place_is_away_and_sends_all_later(on_s3, bucket):
    a, b = on_s3("a"), on_s3("b")
    a.prepare()
    b.prepare()
    bucket.server.fails = lambda _: True
    record = put(a)
    a.refs["tiny/latest"] = record.artifact
    a.runs.put({"run": "20260101-000000-tiny-x", "spec": "tiny", "stages": []})
    assert a.refs["tiny/latest"] == record.artifact
    assert len(a.told_people) == 1  # once, not for each thing
    bucket.server.fails = lambda _: False
    assert b.refs.get("tiny/latest") is None
    assert on_s3("a").send() == 3
    assert b.refs["tiny/latest"] == record.artifact
    assert [run["run"] for run in b.runs.newest_first()] == ["20260101-000000-tiny-x"]
    assert b.find(KEY) == record


def test_a_place_that_never_answered_is_an_error_and_not_gone_on_without(on_s3, bucket):
    bucket.server.fails = lambda _: True
    with pytest.raises(RemoteError, match="cannot be reached"):
        on_s3("a").prepare()
    with pytest.raises(RemoteError, match="cannot be reached"):
        on_s3("a").find(KEY)


def test_a_killed_process_leaves_word_of_what_it_had_not_sent(on_s3, bucket, monkeypatch):
    a = on_s3("a")
    a.prepare()
    monkeypatch.setattr(a.remote, "publish", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        put(a)
    on_s3("a").prepare()
    assert on_s3("b").find(KEY) is not None


# -- names ---------------------------------------------------------------------------------------------------


def test_refs_runs_and_champions_are_those_of_all_machines(machine):
    a, b = machine("a"), machine("b")
    first, second = put(a), put(b, OTHER, 3)
    a.refs["tiny/latest"] = first.artifact
    assert b.refs["tiny/latest"] == first.artifact
    b.refs["tiny/latest"] = second.artifact
    assert a.refs["tiny/latest"] == second.artifact
    told = {"kind": "forced", "run": None, "reason": ""}
    assert Champions(a).move("tiny", first.artifact, expected=None, **told)
    assert not Champions(b).move("tiny", second.artifact, expected=None, **told)
    assert Champions(b).move("tiny", second.artifact, expected=first.artifact, **told)
    assert Champions(a).current("tiny") == second.artifact
    assert Champions(a).line("tiny") == [first.artifact, second.artifact]
    assert b.refs.names() == ["tiny/champion", "tiny/latest"]
    del b.refs["tiny/latest"]
    assert "tiny/latest" not in a.refs


def test_a_champion_stays_where_it_is_while_the_place_is_away(on_s3, bucket):
    a = on_s3("a")
    record = put(a)
    bucket.server.fails = lambda _: True
    with pytest.raises(RemoteError):
        Champions(a).move("tiny", record.artifact, expected=None, kind="forced", run=None, reason="")
    bucket.server.fails = lambda _: False
    assert Champions(on_s3("b")).current("tiny") is None


# -- collecting ----------------------------------------------------------------------------------------------

NOW = Policy(keep_runs=0, grace=-5)  # nothing counts as new


def test_a_collection_takes_what_nothing_reaches_and_abandoned_uploads(machine):
    a = machine("a")
    kept, gone = put(a), put(a, OTHER, 3)
    a.refs["tiny/latest"] = kept.artifact
    half = f"objects/ee/{'ee' * 32}/data.h5"
    a.remote.objects.write(half, b"half")
    assert collect_shared(a, Policy(keep_runs=0)).garbage == ()  # all of it is new
    told = collect_shared(a, NOW, dry_run=True)
    assert machine("b").find(OTHER) == gone
    done = collect_shared(a, NOW)
    assert sorted(item.what for item in done.garbage[:3]) == ["artifact", "interrupted upload", "recipe"]
    assert {item.name for item in told.garbage} == {item.name for item in done.garbage}
    b = machine("b")
    assert b.find(KEY) == kept
    assert b.find(OTHER) is None
    assert b.artifacts() == [kept.artifact]
    assert half not in [entry.name for entry in a.remote.objects.entries("objects")]
    assert not a.here(gone.artifact)  # the cache is collected by the same rules


def test_what_a_run_under_way_has_made_stays(machine):
    a, b = machine("a"), machine("b")
    a.prepare()
    run = a.begin(a.runs.name("tiny"))
    record = put(a)
    assert collect_shared(b, Policy(keep_runs=0, grace=0)).live
    assert machine("c").find(KEY) == record
    run.release()
    collect_shared(b, NOW)
    assert machine("c").find(KEY) is None


# -- copying -------------------------------------------------------------------------------------------------


def run_of(store: Store, *records: Record) -> None:
    stages = [{"name": r.recipe["stage"], "key": r.key, "artifact": r.artifact} for r in records]
    store.runs.put({"run": "20260101-000000-tiny-x", "spec": "tiny", "status": "done", "stages": stages})


def test_a_local_store_is_pushed_and_pulled_with_what_its_artifacts_were_made_from(place, tmp_path):
    mine, yours = Store(tmp_path / "mine"), Store(tmp_path / "yours")
    data = put(mine)
    with mine.output(OTHER) as output:
        output.json("history", [])
        made = {"inputs": {"data": data.artifact}}
        model = mine.commit(output, OTHER, "finetune", {"stage": "finetune"}, made)
    unrelated = put(mine, "ef" * 32, 2)
    mine.refs["tiny/latest"] = model.artifact
    run_of(mine, model)

    def shared(store: Store) -> SharedStore:
        return SharedStore(store.root, Remote(objects_at(place)), print)

    sent = push(mine, shared(mine), bundle(mine, [model.artifact], ["tiny/latest"]))
    assert (sent.artifacts, sent.recipes, sent.runs, sent.refs) == (2, 2, 1, ("tiny/latest",))
    assert shared(yours).find(unrelated.key) is None
    came = pull(shared(yours), bundle(shared(yours), None, ["tiny/latest"]))
    assert (came.artifacts, came.recipes, came.runs, came.bytes) == (2, 2, 1, sent.bytes)
    assert yours.find(OTHER) == model
    assert yours.find(KEY) == data
    assert yours.refs["tiny/latest"] == model.artifact
    assert [run["run"] for run in yours.runs.newest_first()] == ["20260101-000000-tiny-x"]
    again = push(mine, shared(mine), bundle(mine, None, []))
    assert (again.artifacts, again.recipes, again.runs) == (1, 1, 0)


def test_a_damaged_artifact_is_not_pushed(place, tmp_path):
    mine = Store(tmp_path / "mine")
    record = put(mine)
    (mine.directory(record.artifact) / "history.json").write_bytes(b"[1]")
    shared = SharedStore(mine.root, Remote(objects_at(place)), print)
    with pytest.raises(CorruptionError, match="an artifact here is damaged"):
        push(mine, shared, bundle(mine, None, []))
    assert not shared.remote.exists()


# -- opening -------------------------------------------------------------------------------------------------


def test_a_path_opens_a_local_store_and_a_url_a_shared_one(tmp_path, monkeypatch):
    monkeypatch.setenv("NNPIPE_CACHE", str(tmp_path / "caches"))
    assert type(open_store(tmp_path / "artifacts")) is Store
    shared = open_store(f"file://{tmp_path}/nfs/")
    assert isinstance(shared, SharedStore)
    assert shared.place == place_of(shared.place) == f"file://{tmp_path}/nfs"
    assert shared.root.parent == tmp_path / "caches"
    assert not (tmp_path / "caches").exists()
    assert [is_url(text) for text in ("s3://b/x", "s3:/b/x", "artifacts", "./a", "C:/x")] == [True, True, *[False] * 3]
    assert normal("S3:/bucket/x/") == "s3://bucket/x"
    assert cache_of("s3://b/x") != cache_of("s3://b-x")


def test_the_time_after_which_a_silent_machine_counts_as_dead_is_checked(monkeypatch, tmp_path):
    monkeypatch.setenv("NNPIPE_LEASE", "soon")
    with pytest.raises(UsageError, match="not a time"):
        open_store(f"file://{tmp_path}/nfs")
