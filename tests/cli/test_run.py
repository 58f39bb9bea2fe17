from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path

import pytest

from nnpipe.cli import progress

TINY = ("run", "tiny.yaml", "--engine", "local")


def test_a_run_tells_epochs_stages_metrics_and_the_report(nnpipe, copied):
    answer = nnpipe(*TINY, "--set", "train.epochs=1")
    assert answer.status == 0, answer.err
    lines = answer.out.splitlines()
    assert any(line.startswith("ingest     reused") for line in lines)
    assert any(line.startswith("finetune   epoch 1/1 - ") and " - loss: " in line for line in lines)
    assert any(line.startswith("finetune   computed") for line in lines)
    assert "test accuracy " in lines[-2]
    assert Path(lines[-1].removeprefix("report ")).is_file()


def test_a_run_with_nothing_to_do_says_so_in_plain_lines(nnpipe, copied):
    answer = nnpipe(*TINY)
    assert answer.status == 0
    assert "\x1b" not in answer.out
    assert [line.split()[1] for line in answer.out.splitlines()[:6]] == ["reused"] * 6


def test_json_is_the_last_line_and_progress_goes_to_stderr(nnpipe, copied):
    answer = nnpipe(*TINY, "--json")
    assert len(answer.out.splitlines()) == 1
    assert {"run", "spec", "stages", "metrics", "report", "seconds"} <= set(answer.json)
    assert set(answer.json["stages"][0]) == {"name", "key", "status", "seconds", "artifact", "content"}
    kept = json.loads(Path("artifacts/runs", answer.json["run"] + ".json").read_text())
    assert {key: kept[key] for key in answer.json} == answer.json
    assert "ingest     reused" in answer.err


def test_quiet_json_prints_one_line_and_nothing_else(nnpipe, copied):
    answer = nnpipe(*TINY, "--json", "--quiet")
    assert answer.err == ""
    assert answer.json["spec"] == "tiny"


def test_until_leaves_out_what_is_not_needed(nnpipe, copied):
    answer = nnpipe(*TINY, "--until", "finetune", "--json")
    assert [stage["name"] for stage in answer.json["stages"]] == ["ingest", "finetune"]
    assert answer.json["report"] is None


def test_a_forced_stage_is_computed_again(nnpipe, copied):
    answer = nnpipe(*TINY, "--until", "ingest", "--force", "ingest", "--json")
    assert [stage["status"] for stage in answer.json["stages"]] == ["computed"]


def test_a_stage_that_is_not_there_is_a_usage_error_with_the_nearest_name(nnpipe, copied):
    answer = nnpipe(*TINY, "--until", "finetun")
    assert answer.status == 2
    assert "'finetune'" in answer.err


@pytest.mark.parametrize(
    "words",
    [
        ("run", "missing.yaml"),
        ("run",),
        ("run", "tiny.yaml", "--engine", "spark"),
        ("run", "tiny.yaml", "--set", "train.epochs"),
        ("run", "tiny.yaml", "--set", "train.epochs=-1"),
        ("run", "tiny.yaml", "--threads", "0"),
        ("fly",),
    ],
)
def test_a_wrong_command_line_or_spec_has_status_2_and_no_traceback(nnpipe, here, words):
    answer = nnpipe(*words)
    assert answer.status == 2
    assert answer.out == ""
    assert answer.err
    assert "Traceback" not in answer.err


def test_every_mistake_of_a_spec_is_told(nnpipe, copied):
    answer = nnpipe(*TINY, "--set", "train.epoch=3", "--set", "model.layers.0.units=-1")
    assert answer.status == 2
    assert answer.err.count("error: ") == 2
    assert "did you mean 'epochs'" in answer.err


def test_a_failing_stage_has_status_1_and_json_prints_no_object(nnpipe, copied, monkeypatch):
    def broken(*_: object) -> None:
        raise ZeroDivisionError("in a stage")

    monkeypatch.setattr("nnpipe.stages.evaluate.evaluate", broken)
    answer = nnpipe(*TINY, "--force", "evaluate", "--json")
    assert answer.status == 1
    assert answer.out == ""
    assert "finetune   reused" in answer.err
    assert "evaluate   failed" in answer.err
    assert "ZeroDivisionError: in a stage" in answer.err
    assert "Traceback" not in answer.err


def test_an_unexpected_error_is_short_unless_debugging(nnpipe, here, monkeypatch):
    def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError("of ours")

    monkeypatch.setattr("nnpipe.api.plan", broken)
    answer = nnpipe(*TINY)
    assert answer.status == 1
    assert answer.err.startswith("error: ZeroDivisionError: of ours")
    assert "NNPIPE_DEBUG=1" in answer.err
    monkeypatch.setenv("NNPIPE_DEBUG", "1")
    assert "Traceback" in nnpipe(*TINY).err


def test_an_interrupted_run_says_how_to_go_on_and_goes_on(nnpipe, copied, monkeypatch):
    def stop(*_: object) -> None:
        os.kill(os.getpid(), signal.SIGINT)

    words = (*TINY, "--set", "train.epochs=3")
    with monkeypatch.context() as patched:
        patched.setattr(progress.Lines, "epoch", stop)
        answer = nnpipe(*words)
    assert answer.status == 130
    assert answer.err.splitlines()[-1] == f"interrupted; go on with: nnpipe {' '.join(words)}"
    stages = {stage["name"]: stage["status"] for stage in nnpipe(*words, "--json").json["stages"]}
    assert stages["finetune"] == "resumed"


def test_the_store_is_taken_from_the_environment(nnpipe, copied, monkeypatch):
    monkeypatch.setenv("NNPIPE_STORE", str(copied / "elsewhere"))
    assert nnpipe(*TINY, "--until", "ingest").status == 0
    assert (copied / "elsewhere" / "format.json").exists()


def test_how_much_memory_examples_may_take_is_told_in_words(nnpipe, copied, monkeypatch):
    found = []
    monkeypatch.setattr("nnpipe.api.execute", lambda plan, **options: found.append(options["memory"]) or sys.exit(0))
    for size in ("2GB", "1.5 GiB", "500mb", "70000", "0"):
        assert nnpipe(*TINY, "--memory", size).status == 0
    assert found == [2 * 10**9, 3 * 2**29, 500 * 10**6, 70000, 0]
    nnpipe(*TINY)
    assert found[-1] is None


@pytest.mark.parametrize("size", ["much", "-1", "2 GBytes", "1e9"])
def test_what_is_no_size_is_refused(nnpipe, copied, size):
    answer = nnpipe(*TINY, f"--memory={size}")
    assert answer.status == 2
    assert "Invalid value for '--memory': expected a size such as 500MB or 2GB" in " ".join(answer.err.split())


def test_examples_that_may_take_no_memory_give_the_same_network(nnpipe, copied):
    expected = nnpipe(*TINY, "--json").json
    again = nnpipe(*TINY, "--memory", "0", "--force", "finetune", "--force", "evaluate", "--json").json
    assert [stage["status"] for stage in again["stages"][1:3]] == ["computed", "computed"]
    assert [stage["artifact"] for stage in again["stages"][:3]] == [s["artifact"] for s in expected["stages"][:3]]
