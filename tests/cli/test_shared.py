"""A shared store from the command line: machines are processes with caches of their own."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from nnpipe.store.shared.objects import objects_at

from .conftest import SPEC
from .test_startup import HEAVY, loaded

FAST = ("--engine", "local", "--quiet")


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Turns this process into another machine: ``cache("b")``; the folder of its caches."""

    def turned(name: str) -> Path:
        monkeypatch.setenv("NNPIPE_CACHE", str(tmp_path / name))
        return tmp_path / name

    turned("a")
    return turned


@pytest.fixture
def shared(computed: Path, cache, tmp_path: Path, nnpipe) -> str:
    """A shared folder with what ``computed`` has, pushed there from a copy."""
    shutil.copytree(computed / "artifacts", tmp_path / "local")
    url = f"file://{tmp_path / 'nfs'}"
    assert nnpipe("push", "--store", tmp_path / "local", "--to", url).status == 0
    return url


def start(machine: Path, spec: Path, url: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "nnpipe", "run", str(spec), "--store", url, "--until", "finetune", "--json", *FAST]
    env = {**os.environ, "NNPIPE_CACHE": str(machine)}
    return subprocess.Popen(command, env=env, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def test_two_runs_at_once_compute_each_stage_once_between_them(bucket, tmp_path):
    spec = tmp_path / "tiny.yaml"
    spec.write_text(f"{SPEC}pretrain: {{method: {{kind: rbm, visible: gaussian}}, layers: 1, epochs: 2}}\n")
    runs = [start(tmp_path / name, spec, bucket.url) for name in "ab"]
    outs = [run.communicate(timeout=120) for run in runs]
    assert [run.returncode for run in runs] == [0, 0], outs
    first, second = (json.loads(out.splitlines()[-1])["stages"] for out, _ in outs)
    assert [stage["name"] for stage in first] == ["ingest", "pretrain/1", "finetune"]
    for one, other in zip(first, second, strict=True):
        assert sorted([one["status"], other["status"]]) == ["computed", "reused"], (one, other)
        assert (one["key"], one["content"], one["artifact"]) == (other["key"], other["content"], other["artifact"])
    objects = objects_at(bucket.url)
    assert len(objects.entries("recipes")) == len(first)
    assert [entry.name for folder in ("leases", "live", "probe") for entry in objects.entries(folder)] == []


def test_a_run_with_nothing_to_do_asks_little_and_loads_nothing_heavy(computed, bucket, cache, tmp_path, nnpipe):
    shutil.copytree(computed / "artifacts", tmp_path / "local")
    assert nnpipe("push", "--store", tmp_path / "local", "--to", bucket.url).status == 0
    words = ("run", str(computed / "tiny.yaml"), "--store", bucket.url)
    cache("b")
    bucket.asked()
    assert loaded(tmp_path, *words) & HEAVY == set()
    asked = bucket.asked()
    fetched = [request for request in asked if "objects/" in request and not request.endswith("manifest.json")]
    assert len(fetched) == 1  # the report, which a run leaves to look at
    assert fetched[0].endswith("/report.html")
    stages = len({request for request in asked if request.startswith("GET recipes/")})
    assert stages == 6
    assert len(asked) == 3 * stages + 4  # each recipe twice, its manifest; mark, report, run, ref
    loaded(tmp_path, *words)
    again = bucket.asked()
    assert len(again) == 2 * (stages - 1) + 3  # the report is here now
    assert not [request for request in again if "objects/" in request]
    assert nnpipe("pull", "--store", bucket.url).status == 0
    bucket.asked()
    loaded(tmp_path, *words)
    assert [request.partition(" ")[0] for request in bucket.asked()] == ["GET", "PUT", "GET"]  # mark, run, ref


def test_a_plan_of_a_shared_store_is_light_and_a_local_store_never_loads_fsspec(copied, shared):
    assert not loaded(copied, "plan", "tiny.yaml", "--store", shared) & (HEAVY | {"rich", "s3fs"})
    assert not loaded(copied, "run", "tiny.yaml") & {"fsspec", "s3fs", "botocore"}


def test_verbs_work_on_a_shared_store(shared, cache, nnpipe, computed):
    cache("b")
    assert {run["status"] for run in nnpipe("ls", "--store", shared, "--json").json["runs"]} == {"done"}
    shown = nnpipe("show", "tiny", "--store", shared, "--json").json
    assert shown["stage"] == "finetune"
    assert shown["directory"].startswith("file://")
    assert nnpipe("verify", "--store", shared).status == 0
    assert nnpipe("gc", "--store", shared, "--json").json["garbage"] == []
    assert nnpipe("pin", "tiny", "kept", "--store", shared).status == 0
    assert nnpipe("promote", "tiny", "--force", "--store", shared).status == 0
    report = nnpipe("report", "tiny", "--store", shared)
    assert Path(report.out.split()[-1]).exists()
    cache("c")
    assert nnpipe("champions", "--store", shared, "--json").json[0]["champion"] == shown["artifact"]
    assert nnpipe("why", computed / "tiny.yaml", "finetune", "--store", shared).status == 0
    assert nnpipe("rollback", "tiny", "--store", shared).status == 2  # there was one champion only
    assert nnpipe("unpin", "kept", "--store", shared).status == 0


def test_verify_finds_what_is_damaged_in_the_place_and_a_run_makes_it_again(shared, cache, nnpipe, computed, tmp_path):
    cache("b")
    model = nnpipe("show", "tiny", "--store", shared, "--json").json["artifact"]
    file = tmp_path / "nfs" / "objects" / model[:2] / model / "model.safetensors"
    file.write_bytes(file.read_bytes()[:-1] + b"?")
    found = nnpipe("verify", "--store", shared)
    assert found.status == 3
    assert str(file) in found.err
    # Another stage has to be computed, which reads the model and meets the damage.
    more = ("run", computed / "tiny.yaml", "--set", "evaluate.top_k=2", "--store", shared, "--json", *FAST)
    run = nnpipe(*more)
    assert run.status == 0, run.err
    assert nnpipe("verify", "--store", shared).status == 0
    assert list((tmp_path / "nfs" / "quarantine").glob(f"{model}-*/model.safetensors"))


def test_push_and_pull_take_a_network_from_store_to_store(shared, nnpipe, tmp_path):
    pulled = nnpipe("pull", "tiny/latest", "--store", tmp_path / "new", "--from", shared, "--json")
    assert pulled.json["refs"] == ["tiny/latest"]
    assert pulled.json["artifacts"] == 6
    assert nnpipe("verify", "--store", tmp_path / "new").status == 0
    again = nnpipe("push", "tiny", "--store", tmp_path / "new", "--to", shared, "--json").json
    assert (again["artifacts"], again["recipes"], again["runs"]) == (0, 0, 0)


@pytest.mark.parametrize(
    ("words", "status", "told"),
    [
        (("push",), 2, "--to is missing"),
        (("pull", "--from", "somewhere"), 2, "not the place of a shared store"),
        (("push", "--store", "file:///x/y", "--to", "file:///x/z"), 2, "two shared stores"),
        (("ls", "--store", "ftp://x/y"), 2, "not the place of a store"),
        (("ls", "--store", "file:///nowhere/at/all"), 2, "no store here"),
    ],
)
def test_mistakes_are_told(nnpipe, cache, words, status, told):
    answer = nnpipe(*words)
    assert answer.status == status
    assert told in answer.err


def test_a_folder_that_cannot_be_a_store_ends_a_run_at_once(nnpipe, cache, computed):
    answer = nnpipe("run", computed / "tiny.yaml", "--store", f"file://{computed / 'tiny.yaml'}", *FAST)
    assert answer.status == 1
    assert "the shared folder fails" in answer.err
    assert "going on without" not in answer.err


def test_a_bucket_that_is_not_there_ends_a_run_at_once(nnpipe, cache, bucket, computed):
    answer = nnpipe("run", computed / "tiny.yaml", "--store", "s3://not-made/x", *FAST)
    assert answer.status == 1
    assert "there is no such bucket" in answer.err
