from __future__ import annotations

import os
from pathlib import Path

from nnpipe.store.store import Store

AT_ONCE = ("--grace", "0", "--keep-runs", "0")


def stages(folder: Path) -> list[str]:
    store = Store(folder / "artifacts")
    return sorted(store.artifact(id_).manifest.stage for id_ in store.artifacts())


def statuses(answer) -> dict[str, str]:
    return {stage["name"]: stage["status"] for stage in answer.json["stages"]}


def test_what_a_ref_reaches_stays_and_the_rest_is_computed_again_when_wanted(nnpipe, copied):
    answer = nnpipe("gc", *AT_ONCE)
    assert answer.status == 0
    assert "2 artifacts stay" in answer.out
    assert stages(copied) == ["finetune", "ingest"]
    assert nnpipe("verify").status == 0
    again = nnpipe("run", "tiny.yaml", "--engine", "local", "--json")
    assert [name for name, status in statuses(again).items() if status == "reused"] == ["ingest", "finetune"]


def test_the_last_runs_stay(nnpipe, copied):
    first = stages(copied)
    nnpipe("run", "tiny.yaml", "--set", "train.epochs=3", "--engine", "local", "--quiet")
    assert len(stages(copied)) > len(first)
    nnpipe("gc", "--grace", "0", "--keep-runs", "2")
    assert len(stages(copied)) > len(first)
    nnpipe("gc", "--grace", "0", "--keep-runs", "1")
    assert stages(copied) == first
    assert nnpipe("gc", "--grace", "0", "--keep-runs", "1").out == "0 things, 0 B; 6 artifacts stay\n"


def test_a_dry_run_says_in_the_same_words_what_the_real_one_does(nnpipe, copied):
    planned = nnpipe("gc", "--dry-run", *AT_ONCE)
    assert len(stages(copied)) == 6
    done = nnpipe("gc", *AT_ONCE)
    assert planned.out == done.out + "dry run: nothing was removed\n"
    assert "evaluate" in done.out


def test_gc_as_json_tells_every_path_and_its_bytes(nnpipe, copied):
    before = sum(path.stat().st_size for path in Path("artifacts").rglob("*") if path.is_file())
    told = nnpipe("gc", "--json", *AT_ONCE).json
    assert all(not Path(item["path"]).exists() for item in told["garbage"])
    assert told["bytes"] == sum(item["bytes"] for item in told["garbage"])
    after = sum(path.stat().st_size for path in Path("artifacts").rglob("*") if path.is_file())
    named = sum((Path("artifacts/locks") / f"{lock}.owner").exists() for lock in ("gate", "collecting"))
    assert named == 0
    assert before - after == told["bytes"]


def test_what_was_made_within_the_hour_stays(nnpipe, copied):
    assert "6 artifacts stay" in nnpipe("gc", "--keep-runs", "0").out
    for path in Path("artifacts/objects").glob("*/*"):
        os.utime(path, (0, 0))
    assert "2 artifacts stay" in nnpipe("gc", "--keep-runs", "0").out


def test_a_run_that_was_killed_is_named_and_what_it_used_stays(nnpipe, copied):
    run = nnpipe("ls", "--json").json["runs"][0]["run"]
    Path("artifacts/live").mkdir(exist_ok=True)
    Path("artifacts/live", f"{run}.lock").touch()
    answer = nnpipe("gc", *AT_ONCE)
    assert run in answer.out.splitlines()[0]
    assert "6 artifacts stay" in answer.out


def test_a_pinned_artifact_stays_until_it_is_unpinned(nnpipe, copied):
    run = nnpipe("ls", "--json").json["runs"][0]["run"]
    made = {stage["name"]: stage["artifact"] for stage in nnpipe("show", run, "--json").json["stages"]}
    assert nnpipe("pin", made["evaluate"][:8], "thesis").out == f"pins/thesis {made['evaluate']}\n"
    nnpipe("gc", *AT_ONCE)
    assert stages(copied) == ["evaluate", "finetune", "ingest"]
    assert nnpipe("unpin", "thesis").status == 0
    nnpipe("gc", *AT_ONCE)
    assert stages(copied) == ["finetune", "ingest"]


def test_a_pin_is_not_moved_by_accident(nnpipe, copied):
    data, model = sorted(path.name for path in Path("artifacts/objects").glob("*/*"))[:2]
    assert nnpipe("pin", data, "thesis").status == 0
    assert nnpipe("pin", data, "thesis").status == 0
    answer = nnpipe("pin", model, "thesis")
    assert answer.status == 2
    assert "nnpipe unpin pins/thesis" in answer.err


def test_unpinning_what_is_not_pinned_names_the_nearest(nnpipe, copied):
    nnpipe("pin", "tiny/latest", "thesis")
    answer = nnpipe("unpin", "thesys")
    assert answer.status == 2
    assert "did you mean 'pins/thesis'?" in answer.err


def test_gc_without_a_store_is_a_usage_error(nnpipe, tmp_path):
    assert nnpipe("gc", "--store", tmp_path).status == 2
    assert list(tmp_path.iterdir()) == []
