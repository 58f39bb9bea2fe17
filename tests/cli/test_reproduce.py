from __future__ import annotations

import json
from pathlib import Path

import pytest

from nnpipe.store.store import Store

LABELLED = """\
version: 1
name: tiny
data: {source: {kind: arrays, path: data.npz, images: X, labels: y}, test: 0.2}
model: {layers: [{kind: dense, units: 2, activation: softmax}]}
train: {optimizer: {kind: sgd, learning_rate: 0.1}, epochs: 1, batch_size: 16}
visualize: []
"""


@pytest.mark.parametrize("name", ["tiny", "tiny/latest"])
def test_a_network_is_reproduced_from_the_data_on(nnpipe, here, name):
    before = sorted(Path("artifacts").rglob("*"))
    answer = nnpipe("reproduce", name, "--quiet")
    assert answer.status == 0
    assert [line.split()[::3] for line in answer.out.splitlines()[1:3]] == [["ingest", "same"], ["finetune", "same"]]
    assert "is reproduced" in answer.out
    assert sorted(Path("artifacts").rglob("*")) == before


def test_any_artifact_of_a_run_is_reproduced_with_what_it_needs(nnpipe, here, tmp_path):
    run = nnpipe("ls", "--json").json["runs"][0]["run"]
    made = {stage["name"]: stage for stage in nnpipe("show", run, "--json").json["stages"]}
    told = nnpipe("reproduce", made["report"]["artifact"], "--into", tmp_path / "again", "--quiet", "--json").json
    assert told["same"]
    assert {row["stage"]: row["again"] for row in told["stages"]} == {n: s["content"] for n, s in made.items()}
    again = Store(tmp_path / "again")
    assert again.directory(made["finetune"]["artifact"]).is_dir()


def test_what_comes_out_different_is_told_with_what_changed(nnpipe, copied):
    path = next(Path("artifacts/runs").glob("*.json"))
    run = json.loads(path.read_text())
    run["whole_spec"]["train"]["epochs"] = 3
    path.write_text(json.dumps(run))
    answer = nnpipe("reproduce", "tiny", "--quiet")
    assert answer.status == 1
    assert [line.split()[::3] for line in answer.out.splitlines()[1:3]] == [["ingest", "same"], ["finetune", "differs"]]
    assert "finetune is the first that differs" in answer.out
    assert "train.epochs" in answer.out


def test_a_folder_with_something_in_it_is_refused(nnpipe, here):
    answer = nnpipe("reproduce", "tiny", "--into", "artifacts")
    assert answer.status == 2
    assert "not an empty folder" in answer.err


def test_an_artifact_that_no_run_tells_of_is_a_usage_error(nnpipe, copied):
    next(Path("artifacts/runs").glob("*.json")).unlink()
    answer = nnpipe("reproduce", "tiny")
    assert answer.status == 2
    assert "no run tells how it was made" in answer.err


def test_relative_paths_start_where_they_did_in_the_first_run(nnpipe, tmp_path, monkeypatch):
    import numpy as np

    X, y = np.random.default_rng(0).random((50, 3), np.float32), np.arange(50) % 2
    (tmp_path / "specs").mkdir()
    np.savez(tmp_path / "specs" / "data.npz", X=X, y=y)
    (tmp_path / "specs" / "tiny.yaml").write_text(LABELLED)
    monkeypatch.chdir(tmp_path)
    assert nnpipe("run", "specs/tiny.yaml", "--engine", "local", "--quiet").status == 0
    assert nnpipe("reproduce", "tiny", "--quiet").status == 0


@pytest.mark.parametrize("name", ["tiny", "tiny/latest", "run", "artifact"])
def test_a_network_that_started_from_another_run_is_reproduced_with_that_one(nnpipe, copied, name):
    """From what it was given then, wherever the ref points now."""
    store = Store(copied / "artifacts")
    names = {"run": nnpipe("ls", "--json").json["runs"][0]["run"], "artifact": store.refs["tiny/latest"][:10]}
    given = names.get(name, name)
    text = Path("tiny.yaml").read_text().replace("name: tiny", "name: other")
    Path("other.yaml").write_text(text.replace("epochs: 2", f"epochs: 2, start: {{from: {given}}}"))
    assert nnpipe("run", "other.yaml", "--engine", "local", "--quiet").status == 0
    nnpipe("run", "tiny.yaml", "--set", "seed=1", "--engine", "local", "--quiet")
    told = nnpipe("reproduce", "other", "--quiet", "--json").json
    assert told["same"]
