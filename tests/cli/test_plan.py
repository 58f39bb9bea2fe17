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
