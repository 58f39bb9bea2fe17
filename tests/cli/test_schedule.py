"""The command line of schedules: what it refuses before anything is started, and the structured log that runs share."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from nnpipe.cli.schedule import seconds
from nnpipe.errors import UsageError

TINY = ("run", "tiny.yaml", "--engine", "local", "--log-format", "json")


@pytest.mark.parametrize(
    ("text", "expected"), [("30s", 30), ("15m", 900), ("6h", 21600), ("1d", 86400), ("0.5h", 1800), (" 2m ", 120)]
)
def test_a_time_is_a_number_and_a_unit(text: str, expected: float) -> None:
    assert seconds(text) == expected


@pytest.mark.parametrize("text", ["", "5", "h", "-5m", "0s", "6 h", "1w", "1h30m"])
def test_what_is_no_time_is_told_with_examples(text: str) -> None:
    with pytest.raises(UsageError, match="not a time") as caught:
        seconds(text)
    assert "30s, 15m, 6h, 1d" in str(caught.value)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ((), "--cron or --every"),
        (("tiny.yaml",), "--cron or --every"),
        (("tiny.yaml", "--cron", "0 3 * * *", "--every", "6h"), "--cron or --every"),
        (("tiny.yaml", "--every", "soon"), "not a time"),
        (("tiny.yaml", "--cron", "at night"), "minute hour day month weekday"),
        (("tiny.yaml", "--cron", "0 3 * * *", "--timezone", "Berlin"), "no such time zone"),
        (("tiny.yaml", "--every", "1h", "--until", "finetun"), "'finetune'"),
        (("tiny.yaml", "--every", "1h", "--set", "train.epoch=3"), "'epochs'"),
        (("missing.yaml", "--every", "1h"), "missing.yaml"),
        (("tiny.yaml", "--every", "1h", "--work-pool", "gpus"), "PREFECT_API_URL"),
        (("--remove", "digits"), "there are no schedules"),
        (("--remove", "digits", "--port", "99999"), "--port"),
    ],
)
def test_a_wrong_schedule_is_refused_before_anything_is_started(nnpipe, copied, monkeypatch, words, told) -> None:
    monkeypatch.delenv("PREFECT_API_URL", raising=False)
    answer = nnpipe("schedule", *words)
    assert answer.status == 2
    assert told in answer.err
    assert not Path("artifacts/prefect").exists()


def test_a_store_that_never_had_a_server_has_no_schedules(nnpipe, copied, monkeypatch) -> None:
    monkeypatch.delenv("PREFECT_API_URL", raising=False)
    assert nnpipe("schedule", "--list").out == "no schedules\n"
    assert nnpipe("schedule", "--list", "--json").json == {"schedules": []}


def events(answer) -> list[dict]:
    return [json.loads(line) for line in answer.err.splitlines()]


def test_a_run_writes_its_events_as_json_and_nothing_else(nnpipe, copied) -> None:
    answer = nnpipe(*TINY, "--set", "train.epochs=1")
    assert (answer.status, answer.out) == (0, "")
    told = events(answer)
    assert {event["spec"] for event in told} == {"tiny"}
    assert [(event["stage"], event["status"]) for event in told if event["event"] == "stage"][:2] == [
        ("ingest", "reused"),
        ("finetune", "computed"),
    ]
    assert told[-1]["event"] == "run"
    assert told[-1]["metrics"]["test_accuracy"] >= 0
    kept = json.loads(Path("artifacts/runs", told[-1]["run"] + ".json").read_text())
    assert kept["metrics"] == told[-1]["metrics"]


def test_with_json_the_object_of_the_run_is_all_of_stdout(nnpipe, copied) -> None:
    answer = nnpipe(*TINY, "--json")
    assert answer.json["run"] == events(answer)[-1]["run"]


def test_an_error_is_an_event_too_and_the_exit_status_stays(nnpipe, copied) -> None:
    answer = nnpipe(*TINY, "--set", "train.epoch=1")
    assert (answer.status, answer.out) == (2, "")
    (event,) = events(answer)
    assert (event["level"], event["event"]) == ("error", "error")
    assert "did you mean 'epochs'" in event["message"]


def test_the_format_may_come_from_the_environment(nnpipe, copied, monkeypatch) -> None:
    monkeypatch.setenv("NNPIPE_LOG_FORMAT", "json")
    assert events(nnpipe(*TINY[:4]))[-1]["message"] == "nothing new: 6 stages reused"
