"""``nnpipe promote``, ``rollback`` and ``champions``, and what other verbs tell of them."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from nnpipe.cli import main

GATED = """\
version: 1
name: tiny
data: {source: {kind: two_classes, samples: 200}}
model:
  layers:
    - {kind: dense, units: 8, activation: tanh}
    - {kind: dense, units: 1, activation: sigmoid}
train: {loss: binary_cross_entropy, optimizer: {kind: adam, learning_rate: 0.05}, epochs: 1, batch_size: 16}
promote: {by: 0.05}
hooks: {success: [{command: touch hooked}]}
"""
RUN = ("run", "tiny.yaml", "--engine", "local", "--until", "evaluate", "--quiet")
BETTER = ("--set", "train.epochs=30")


@pytest.fixture(scope="module")
def promoted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a spec that was run twice, and two champions of it."""
    folder = tmp_path_factory.mktemp("promoted")
    (folder / "tiny.yaml").write_text(GATED)
    for words in ((), BETTER):
        run = ["run", str(folder / "tiny.yaml"), *RUN[2:], "--store", str(folder / "artifacts"), *words]
        assert main(run) == 0
    return folder


@pytest.fixture
def here(promoted: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of it, as the current directory."""
    shutil.copytree(promoted, tmp_path / "copy")
    monkeypatch.chdir(tmp_path / "copy")
    return tmp_path / "copy"


def champion() -> str:
    return Path("artifacts/refs/tiny/champion").read_text().strip()


def test_a_run_tells_whether_its_network_is_champion(nnpipe, here):
    Path("tiny.yaml").write_text(GATED.replace("epochs: 1", "epochs: 2"))
    answer = nnpipe(*RUN)
    assert answer.status == 0
    assert f"promotion  tiny/champion stays at {champion()[:10]}\n  no   accuracy " in answer.out
    told = nnpipe(*RUN, "--json").json["promotion"]
    assert (told["promoted"], told["champion"]) == (False, champion())
    assert told["reasons"]


def test_champions_lists_each_and_the_moves_of_one(nnpipe, here):
    (listed,) = nnpipe("champions", "--json").json
    assert (listed["name"], listed["champion"], listed["moves"]) == ("tiny", champion(), 2)
    assert "better by" in nnpipe("champions").out
    moves = nnpipe("champions", "tiny", "--json").json
    assert [move["to"] for move in moves][-1] == champion()
    assert [move["kind"] for move in moves] == ["promotion"] * 2
    lines = nnpipe("champions", "tiny/champion").out.splitlines()
    assert [line.split()[2] for line in lines[1:]] == ["promotion"] * 2
    assert moves[1]["run"] in lines[2]


def test_rollback_goes_back_and_says_why(nnpipe, here):
    first = nnpipe("champions", "tiny", "--json").json[0]["to"]
    answer = nnpipe("rollback", "tiny", "--reason", "complaints")
    assert answer.status == 0
    assert f"tiny/champion is {first[:10]}" in answer.out
    assert champion() == first
    last = nnpipe("champions", "tiny", "--json").json[-1]
    assert (last["kind"], last["reason"]) == ("rollback", "complaints")
    again = nnpipe("rollback", "tiny")
    assert again.status == 2
    assert "no champion to go back to" in again.err
    assert nnpipe("rollback", "nobody").status == 2


def test_promote_asks_the_gate_of_the_recorded_run(nnpipe, here):
    first, second = (move["to"] for move in nnpipe("champions", "tiny", "--json").json)
    refused = nnpipe("promote", first)
    assert refused.status == 1
    assert "worse by" in refused.out
    assert champion() == second
    as_json = nnpipe("promote", first, "--json")
    assert (as_json.status, as_json.json["promoted"], as_json.json["champion"]) == (1, False, second)
    forced = nnpipe("promote", first, "--force", "--reason", "it is smaller")
    assert forced.status == 0
    assert champion() == first
    last = nnpipe("champions", "tiny", "--json").json[-1]
    assert (last["kind"], last["reason"], last["verdict"]) == ("forced", "it is smaller", None)
    better = nnpipe("promote", second, "--json")
    assert (better.status, better.json["promoted"]) == (0, True)
    same = nnpipe("promote", second)
    assert same.status == 0
    assert "it is the champion already" in same.out


def test_promote_to_another_name_and_by_the_name_of_a_run(nnpipe, here):
    run = nnpipe("champions", "tiny", "--json").json[0]["run"]
    answer = nnpipe("promote", run, "--to", "shop/champion", "--json")
    assert answer.json["ref"] == "shop/champion"
    assert [each["name"] for each in nnpipe("champions", "--json").json] == ["shop", "tiny"]
    assert nnpipe("promote", run, "--to", "shop/latest").status == 2
    assert nnpipe("promote", "nothing").status == 2


def test_a_network_without_a_gate_is_promoted_and_that_is_told(nnpipe, here):
    nnpipe(*RUN, "--set", "promote=null", "--set", "seed=1")
    answer = nnpipe("promote", "tiny/latest")
    assert answer.status == 0
    assert "its spec has no gate" in answer.out


def test_what_no_run_tells_of_needs_force_and_a_name(nnpipe, here):
    network = champion()
    for path in Path("artifacts/runs").glob("*.json"):
        path.unlink()
    assert nnpipe("promote", network, "--to", "shop").status == 2
    assert nnpipe("promote", network, "--force").status == 2
    assert nnpipe("promote", network, "--force", "--to", "shop").status == 0
    assert Path("artifacts/refs/shop/champion").read_text().strip() == network


def test_an_unknown_champion_is_told_with_the_nearest_name(nnpipe, here):
    answer = nnpipe("champions", "tinny")
    assert answer.status == 2
    assert "did you mean 'tiny'?" in answer.err


def test_show_tells_the_gate_and_the_moves_of_a_champion(nnpipe, here):
    out = nnpipe("show", "tiny/champion").out
    assert "gate of tiny/champion\n  yes  accuracy " in out
    assert "moves of tiny/champion" in out
    assert out.count(" promotion ") == 2
    assert len(nnpipe("show", "tiny/champion", "--json").json["champion"]["tiny"]) == 2
    run = nnpipe("champions", "tiny", "--json").json[1]["run"]
    assert "promoted   tiny/champion is " in nnpipe("show", run).out


def test_gc_keeps_what_a_rollback_needs(nnpipe, here):
    first = nnpipe("champions", "tiny", "--json").json[0]["to"]
    Path("artifacts/refs/tiny/latest").unlink()
    assert nnpipe("gc", "--grace", "0", "--keep-runs", "0").status == 0
    assert nnpipe("rollback", "tiny").status == 0
    assert champion() == first
    assert nnpipe("verify").status == 0
    gone = Path("artifacts/objects", first[:2], first)
    nnpipe("promote", nnpipe("champions", "tiny", "--json").json[1]["to"], "--force")
    shutil.rmtree(gone)
    answer = nnpipe("rollback", "tiny")
    assert answer.status == 1
    assert "the champion before is gone or damaged" in answer.err


def test_what_is_made_again_promotes_nobody_and_calls_no_hooks(nnpipe, here):
    Path("hooked").unlink()
    first = nnpipe("champions", "tiny", "--json").json[0]["to"]
    assert nnpipe("reproduce", first, "--into", "again", "--quiet", "--threads", "1").status == 0
    assert not list(Path("again").glob("moves/*"))
    model = Path("artifacts/objects", first[:2], first, "model.safetensors")
    model.write_bytes(b"x" + model.read_bytes()[1:])
    assert nnpipe("verify", "--repair").status == 0
    assert len(nnpipe("champions", "tiny", "--json").json) == 2
    assert not Path("hooked").exists()


def test_plan_and_why_tell_what_training_starts_from(nnpipe, here):
    start = ("--set", "train.start={from: own/champion, missing: fresh}")
    planned = nnpipe("plan", "tiny.yaml", *start)
    assert "finetune starts from fresh weights: no own/champion yet" in planned.out
    assert nnpipe("plan", "tiny.yaml", *start, "--json").json["start"] == {"from": "own/champion", "artifact": None}
    assert nnpipe("plan", "tiny.yaml", "--json").json["start"] is None
    assert "fresh weights" in nnpipe("why", "tiny.yaml", "finetune", *start).out
    start = ("--set", "train.start={from: tiny/champion, missing: fresh}")
    told = f"finetune starts from the weights of tiny/champion, {champion()[:10]}"
    assert told in nnpipe("plan", "tiny.yaml", *start).out
    assert told in nnpipe("why", "tiny.yaml", "finetune", *start).out
    assert json.loads(nnpipe("why", "tiny.yaml", "finetune", *start, "--json").out)["start"]["artifact"] == champion()


def test_a_champion_that_started_from_the_one_before_is_repaired(nnpipe, here):
    nnpipe(*RUN, "--set", "train.start={from: tiny/champion, missing: fresh}")
    assert nnpipe("promote", "tiny/latest", "--force").status == 0
    network = champion()
    Path("artifacts/objects", network[:2], network, "history.json").write_text("{}")
    answer = nnpipe("verify", "--repair")
    assert (answer.status, champion()) == (0, network)
    assert nnpipe("verify").status == 0
