from __future__ import annotations

import os
from pathlib import Path

import pytest


@pytest.mark.parametrize("words", [("ls",), ("verify",), ("show", "tiny"), ("report", "tiny")])
def test_a_folder_without_a_store_is_a_usage_error(nnpipe, tmp_path, words):
    answer = nnpipe(*words, "--store", tmp_path)
    assert answer.status == 2
    assert "no store here" in answer.err


def test_ls_lists_refs_runs_and_sizes(nnpipe, here):
    out = nnpipe("ls").out
    assert "tiny/latest" in out
    assert "-tiny-" in out
    assert "6 artifacts, " in out


def test_ls_as_json(nnpipe, here):
    listing = nnpipe("ls", "--json").json
    assert list(listing["refs"]) == ["tiny/latest"]
    assert listing["runs"][0]["metrics"]["test_accuracy"] >= 0
    assert listing["artifacts"] == 6
    assert listing["bytes"] == sum(path.stat().st_size for path in Path("artifacts/objects").rglob("*.*"))


def test_show_tells_recipe_files_and_summary_of_an_artifact(nnpipe, here):
    out = nnpipe("show", "tiny").out
    for text in ("stage     finetune", "refs      tiny/latest", "train.optimizer.learning_rate", "model.safetensors"):
        assert text in out
    shown = nnpipe("show", "tiny/latest", "--json").json
    assert shown["config"]["train"]["epochs"] == 2
    assert "nnpipe.stages.finetune" in shown["code"]
    assert set(shown["files"]) >= {"model.safetensors", "history.json"}
    assert shown["summary"]["parameters"] == 17
    assert nnpipe("show", shown["artifact"][:8], "--json").json == shown


def test_show_tells_what_a_run_did(nnpipe, here):
    name = nnpipe("ls", "--json").json["runs"][0]["run"]
    out = nnpipe("show", name).out
    assert "status    done" in out
    assert "test accuracy" in out
    evaluation = nnpipe("show", nnpipe("show", name, "--json").json["stages"][2]["artifact"], "--json").json
    low, high = evaluation["summary"]["intervals"]["test_accuracy"]
    assert f"{low:.4f} to {high:.4f}" in out
    assert nnpipe("show", name, "--json").json["run"] == name


def test_show_of_something_unknown_is_a_usage_error(nnpipe, here):
    answer = nnpipe("show", "nothing-like-this")
    assert answer.status == 2
    assert "nothing is called" in answer.err


def test_a_sound_store_is_verified(nnpipe, here):
    answer = nnpipe("verify")
    assert (answer.status, answer.out) == (0, "6 artifacts are what was written\n")


def network(folder: Path) -> Path:
    """The weights that finetune kept."""
    return next(folder.glob("artifacts/objects/*/*/history.json")).with_name("model.safetensors")


def damage(kind: str, model: Path) -> None:
    if kind == "flipped bit":
        data = bytearray(model.read_bytes())
        data[-1] ^= 1
        model.write_bytes(data)
    elif kind == "missing file":
        model.unlink()
    elif kind == "truncated":
        os.truncate(model, 10)
    elif kind == "stranger":
        (model.parent / "stranger.txt").write_text("x")
    elif kind == "manifest":
        (model.parent / "manifest.json").write_text("{}")
    elif kind == "lost artifact":
        model.parent.rename(model.parent.parent.parent.parent / "lost")


@pytest.mark.parametrize("kind", ["flipped bit", "missing file", "truncated", "stranger", "manifest", "lost artifact"])
def test_damage_is_named_and_has_status_3(nnpipe, copied, kind):
    model = network(copied)
    damage(kind, model)
    answer = nnpipe("verify")
    assert answer.status == 3
    named = "tiny/latest" if kind == "lost artifact" else str(model.parent.relative_to(copied))
    assert named in answer.err
    assert "1 of " in answer.err


def test_what_was_quarantined_is_computed_again(nnpipe, copied):
    model = network(copied)
    before = model.read_bytes()
    damage("flipped bit", model)
    assert nnpipe("verify", "--quarantine").status == 3
    assert any(copied.glob("artifacts/quarantine/*/model.safetensors"))
    stages = nnpipe("run", "tiny.yaml", "--engine", "local", "--json").json["stages"]
    assert {stage["name"]: stage["status"] for stage in stages if stage["status"] != "reused"} == {
        "finetune": "computed"
    }
    assert model.read_bytes() == before
    assert nnpipe("verify").status == 0


# -- verify --repair -----------------------------------------------------------------------------------------


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in sorted(folder.glob("artifacts/objects/*/*/*"))}


@pytest.mark.parametrize("kind", ["flipped bit", "missing file", "truncated", "stranger", "manifest", "lost artifact"])
def test_repair_computes_what_is_damaged_again(nnpipe, copied, kind):
    model, before = network(copied), contents(copied)
    damage(kind, model)
    answer = nnpipe("verify", "--repair")
    assert answer.status == 0
    assert f"restored: {model.parent.name}" in answer.err
    assert answer.out == "6 artifacts are what was written\n"
    assert contents(copied) == before
    assert nnpipe("verify").status == 0


def test_repair_mends_inputs_before_what_is_made_from_them(nnpipe, copied):
    before = contents(copied)
    damage("truncated", network(copied))
    data = next(copied.glob("artifacts/objects/*/*/data.h5"))
    damage("truncated", data)
    answer = nnpipe("verify", "--repair")
    assert answer.status == 0
    order = [line.split()[1] for line in answer.err.splitlines() if line.startswith("restored")]
    assert order == [data.parent.name, network(copied).parent.name]
    assert contents(copied) == before


def test_a_repaired_report_tells_other_times_and_the_same_content(nnpipe, copied):
    report = next(copied.glob("artifacts/objects/*/*/report.html"))
    assert nnpipe("pin", report.parent.name, "page").status == 0
    damage("truncated", report)
    assert nnpipe("verify", "--repair").status == 0
    assert nnpipe("verify").status == 0
    assert "report.html" in nnpipe("show", "pins/page").out


def test_repair_of_an_older_network_leaves_latest_where_it_is(nnpipe, copied):
    model = network(copied)
    nnpipe("run", "tiny.yaml", "--set", "train.epochs=3", "--engine", "local", "--quiet")
    latest = nnpipe("ls", "--json").json["refs"]
    assert latest["tiny/latest"] != model.parent.name
    damage("flipped bit", model)
    assert nnpipe("verify", "--repair").status == 0
    assert nnpipe("ls", "--json").json["refs"] == latest


def test_what_no_run_tells_of_cannot_be_repaired(nnpipe, copied):
    next(copied.glob("artifacts/runs/*.json")).unlink()
    model = network(copied)
    damage("flipped bit", model)
    answer = nnpipe("verify", "--repair")
    assert answer.status == 3
    assert f"not restored: {model.parent.name}: no run tells how it was made" in answer.err
    assert "1 could not be restored" in answer.err


def test_what_would_be_made_otherwise_today_is_not_repaired(nnpipe, copied):
    path = next(copied.glob("artifacts/runs/*.json"))
    path.write_text(path.read_text().replace('"epochs":2', '"epochs":3'))
    damage("flipped bit", network(copied))
    answer = nnpipe("verify", "--repair")
    assert answer.status == 3
    assert "finetune would not be made as it was" in answer.err
    assert len(list(copied.glob("artifacts/runs/*.json"))) == 1


@pytest.mark.parametrize("change", [("{", "", 1), ('"seed":0', '"seed":1', 1)], ids=["not JSON", "another seed"])
def test_a_damaged_recipe_is_moved_away_and_the_next_run_writes_it_again(nnpipe, copied, change):
    recipe = next(p for p in copied.glob("artifacts/recipes/*/*.json") if b'"stage":"ingest"' in p.read_bytes())
    recipe.write_text(recipe.read_text().replace(*change))
    answer = nnpipe("verify")
    assert answer.status == 3
    assert str(recipe.relative_to(copied)) in answer.err
    assert nnpipe("verify", "--repair").status == 0
    assert not recipe.exists()
    assert nnpipe("verify").status == 0
    assert nnpipe("run", "tiny.yaml", "--engine", "local", "--quiet").status == 0
    assert recipe.exists()


def test_a_damaged_move_of_a_champion_is_moved_away_and_the_champion_stays(nnpipe, copied):
    assert nnpipe("promote", "tiny/latest", "--force", "--reason", "the first").status == 0
    champion = nnpipe("ls", "--json").json["refs"]["tiny/champion"]
    (move,) = copied.glob("artifacts/moves/tiny/*.json")
    move.write_text("{}")
    answer = nnpipe("verify")
    assert answer.status == 3
    assert f"{move.relative_to(copied)}: not the move that was written" in answer.err
    assert nnpipe("verify", "--quarantine").status == 3
    assert not move.exists()
    assert nnpipe("verify").status == 0
    assert nnpipe("ls", "--json").json["refs"]["tiny/champion"] == champion
