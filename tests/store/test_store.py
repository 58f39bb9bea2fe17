from __future__ import annotations

import json
import os
import threading
from pathlib import Path

import numpy as np
import pytest

from nnpipe.errors import CorruptionError, Interrupted, StoreError, UsageError
from nnpipe.store.output import Output
from nnpipe.store.record import Record
from nnpipe.store.store import Store

KEY = "ab" * 32


@pytest.fixture
def store(tmp_path: Path) -> Store:
    store = Store(tmp_path / "artifacts")
    store.prepare()
    return store


def fill(output: Output) -> None:
    output.tensors("model", {"weight": np.arange(6, dtype=np.float32).reshape(2, 3)}, {"kind": "dense"})
    output.json("history", [{"epoch": 1, "loss": 0.5}])
    output.file("picture.png", b"not really")
    with output.arrays("data", "zarr") as writer:
        writer.allocate("X", (4, 2), np.uint8)
        writer.append("X", np.ones((4, 2), np.uint8))
    output.summary["epochs"] = 1


def put(store: Store, key: str = KEY) -> Record:
    with store.output(key) as output:
        fill(output)
        return store.commit(output, key, "finetune", {"seed": 0}, {"seconds": 1.5})


def test_a_committed_artifact_is_found_by_its_recipe_and_reads_back(store: Store) -> None:
    record = put(store)
    assert store.find(KEY) == record
    artifact = store.artifact(record.artifact)
    tensors, about = artifact.tensors("model")
    np.testing.assert_array_equal(tensors["weight"], np.arange(6, dtype=np.float32).reshape(2, 3))
    assert about == {"kind": "dense"}
    assert artifact.json("history") == [{"epoch": 1, "loss": 0.5}]
    assert artifact.path("picture.png").read_bytes() == b"not really"
    np.testing.assert_array_equal(artifact.arrays("data").rows("X", 0, 4), np.ones((4, 2)))
    assert artifact.summary == {"epochs": 1}


def test_the_layout_on_disk_is_the_documented_one(store: Store) -> None:
    record = put(store)
    found = {path.relative_to(store.root).as_posix() for path in store.root.rglob("*") if path.is_file()}
    home = f"objects/{record.artifact[:2]}/{record.artifact}"
    assert {"format.json", f"recipes/ab/{KEY}.json", f"{home}/manifest.json", f"{home}/model.safetensors"} <= found
    assert not (store.root / "work" / KEY).exists()


def test_the_same_output_is_the_same_artifact_in_any_store(store: Store, tmp_path: Path) -> None:
    other = Store(tmp_path / "other")
    other.prepare()
    first, second = put(store), put(other, "cd" * 32)
    assert (first.artifact, first.content) == (second.artifact, second.content)


def test_times_are_told_but_are_no_part_of_an_artifact(store: Store) -> None:
    first = put(store)
    with store.output(KEY) as output:
        fill(output)
        second = store.commit(output, KEY, "finetune", {"seed": 0}, {"seconds": 99.0})
    assert second.artifact == first.artifact
    found = store.find(KEY)
    assert found is not None
    assert found.made == {"seconds": 99.0}


def test_content_counts_values_not_formats(tmp_path: Path) -> None:
    contents = set()
    for kind in ("hdf5", "zarr"):
        (tmp_path / kind).mkdir()
        output = Output(tmp_path / kind)
        with output.arrays("data", kind) as writer:  # type: ignore[arg-type]
            writer.allocate("X", (4, 2), np.uint8)
            writer.append("X", np.ones((4, 2), np.uint8))
        contents.add(output.content())
    assert len(contents) == 1


def test_an_output_that_fails_leaves_nothing(store: Store) -> None:
    with pytest.raises(RuntimeError, match="half way"), store.output(KEY) as output:
        fill(output)
        raise RuntimeError("half way")
    assert store.find(KEY) is None
    assert store.artifacts() == []
    assert not (store.root / "work" / KEY).exists()


def test_what_a_dead_writer_left_is_cleared_by_the_next(store: Store) -> None:
    left = store.workplace(KEY) / "output-dead"
    left.mkdir(parents=True)
    (left / "half").write_bytes(b"half")
    put(store)
    assert not left.exists()


def test_a_recipe_whose_artifact_is_gone_is_not_found(store: Store) -> None:
    record = put(store)
    store.quarantine(record.artifact)
    assert store.find(KEY) is None
    assert put(store).artifact == record.artifact


@pytest.mark.parametrize("damage", ["flip", "truncate", "remove", "link"])
def test_damage_is_detected_before_use(store: Store, damage: str) -> None:
    record = put(store)
    path = store.directory(record.artifact) / "model.safetensors"
    data = bytearray(path.read_bytes())
    if damage == "flip":
        data[-1] ^= 1
        path.write_bytes(data)
    elif damage == "truncate":
        path.write_bytes(data[:-4])
    else:
        path.unlink()
        if damage == "link":
            path.symlink_to("/etc/hostname")
    with pytest.raises(CorruptionError, match=r"model\.safetensors"):
        store.artifact(record.artifact).tensors("model")


def test_a_damaged_manifest_is_detected(store: Store) -> None:
    record = put(store)
    path = store.directory(record.artifact) / "manifest.json"
    path.write_bytes(path.read_bytes().replace(b'"epochs":1', b'"epochs":2'))
    with pytest.raises(CorruptionError, match="damaged manifest"):
        store.artifact(record.artifact)


def test_a_manifest_with_a_path_that_leaves_the_artifact_is_refused(store: Store) -> None:
    import hashlib

    record = put(store)
    manifest = json.loads((store.directory(record.artifact) / "manifest.json").read_bytes())
    manifest["files"]["../../../outside"] = {"size": 1, "sha256": "0" * 64}
    data = json.dumps(manifest).encode()
    evil = hashlib.sha256(data).hexdigest()
    store.directory(evil).mkdir(parents=True)
    (store.directory(evil) / "manifest.json").write_bytes(data)
    with pytest.raises(ValueError, match="leaves the artifact"):
        store.artifact(evil)


def test_a_key_is_held_by_one_thread_at_a_time(store: Store) -> None:
    inside, most = 0, 0
    guard = threading.Lock()

    def hold() -> None:
        nonlocal inside, most
        with store.lock(KEY):
            with guard:
                inside += 1
                most = max(most, inside)
            assert store.busy(KEY)
            with guard:
                inside -= 1

    threads = [threading.Thread(target=hold) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == 1
    assert not store.busy(KEY)


def test_whoever_waits_for_a_key_hears_that_it_should_stop(store: Store) -> None:
    stopping = threading.Event()
    stopping.set()
    with store.lock(KEY), pytest.raises(Interrupted, match="another process"), store.lock(KEY, stopping):
        pass


@pytest.mark.parametrize("name", ["format.json", "runs/x.json"])
def test_damaged_json_is_told_as_damage(store: Store, name: str) -> None:
    (store.root / "runs").mkdir()
    (store.root / name).write_text("{")
    with pytest.raises(CorruptionError, match="not the JSON that was written"):
        list(Store(store.root).runs.newest_first())


def test_a_directory_that_is_not_a_store_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(StoreError, match="not a store"):
        Store(tmp_path)


def test_a_store_of_another_layout_is_refused(store: Store) -> None:
    (store.root / "format.json").write_text('{"format": "nnpipe-store/99"}')
    with pytest.raises(StoreError, match="nnpipe-store/1"):
        Store(store.root)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_store_that_cannot_be_written_is_a_clear_error(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(StoreError, match="cannot write"):
        Store(tmp_path / "artifacts").prepare()


def test_refs_point_at_artifacts_and_bad_names_are_refused(store: Store) -> None:
    store.refs["mnist-dbn/latest"] = "ab" * 32
    assert store.refs["mnist-dbn/latest"] == "ab" * 32
    assert store.refs.names() == ["mnist-dbn/latest"]
    for name in ("../outside/x", "no-slash", "/absolute/x", "a/../b"):
        assert name not in store.refs
        with pytest.raises(UsageError, match="not the name of a ref"):
            store.refs[name] = "ab" * 32


def test_names_of_runs_of_one_spec_are_in_order_within_a_second(store: Store) -> None:
    names = [store.runs.name("digits") for _ in range(200)]
    assert names == sorted(names)
    assert len(set(names)) == 200


def test_runs_come_newest_first(store: Store) -> None:
    for name in ("20260101-000000-a-0000", "20260102-000000-a-0000"):
        store.runs.put({"run": name})
    assert [run["run"][:8] for run in store.runs.newest_first()] == ["20260102", "20260101"]
    assert store.runs.get("20260101-000000-a-0000") == {"run": "20260101-000000-a-0000"}
    assert store.runs.get("nothing") is None
