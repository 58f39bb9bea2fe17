from __future__ import annotations


def test_a_plan_is_a_table_of_stages(nnpipe, here):
    answer = nnpipe("plan", "tiny.yaml")
    assert answer.status == 0
    header, *rows, end = answer.out.splitlines()
    assert header.split() == ["stage", "status", "key", "artifact", "took"]
    assert [row.split()[1] for row in rows] == ["reuse"] * 6
    assert end == "nothing to do"


def test_a_plan_shows_what_an_override_would_compute(nnpipe, here):
    answer = nnpipe("plan", "tiny.yaml", "--set", "train.epochs=7", "--json")
    statuses = {stage["name"]: stage["status"] for stage in answer.json["stages"]}
    assert answer.json["spec"] == "tiny"
    assert statuses == {
        "ingest": "reuse",
        **dict.fromkeys(("finetune", "evaluate", "visualize", "export", "report"), "compute"),
    }
    assert set(answer.json["stages"][0]) == {"name", "key", "status", "seconds", "artifact", "content"}


def test_planning_writes_no_store(nnpipe, here, tmp_path):
    answer = nnpipe("plan", "tiny.yaml", "--store", tmp_path / "new")
    assert answer.out.splitlines()[-1] == "6 of 6 stages to do"
    assert not (tmp_path / "new").exists()


def test_what_auto_comes_to_is_told_below_the_plan_and_below_why(nnpipe, here):
    asked = ("--set", "train.precision=auto", "--set", "train.loss=mean_squared_error", "--device", "cpu")
    told = "train.precision auto -> float32: mean_squared_error needs it"
    assert nnpipe("plan", "tiny.yaml", *asked).out.splitlines()[-2] == told
    assert nnpipe("why", "tiny.yaml", "finetune", *asked).out.splitlines()[-1] == told
    for words in (("plan", "tiny.yaml"), ("why", "tiny.yaml", "finetune")):
        (decision,) = nnpipe(*words, *asked, "--json").json["precision"]
        assert decision == {
            "field": "train.precision",
            "precision": "float32",
            "reason": "mean_squared_error needs it",
            "measured": None,
        }


def test_what_auto_comes_to_fits_a_narrow_terminal(nnpipe, here, monkeypatch):
    monkeypatch.setenv("COLUMNS", "40")
    asked = ("--set", "train.precision=auto", "--set", "train.loss=mean_squared_error", "--device", "cpu")
    lines = nnpipe("plan", "tiny.yaml", *asked).out.splitlines()[-3:-1]
    assert lines == ["train.precision auto -> float32:", "  mean_squared_error needs it"]


def test_what_auto_came_to_is_in_the_json_of_a_run(nnpipe, copied):
    asked = ("--set", "train.precision=auto", "--set", "train.loss=mean_squared_error", "--until", "ingest")
    planned = nnpipe("plan", "tiny.yaml", *asked, "--json")
    done = nnpipe("run", "tiny.yaml", "--engine", "local", *asked, "--json")
    assert done.json["precision"] == planned.json["precision"]
