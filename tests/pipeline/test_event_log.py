from __future__ import annotations

import json
import warnings
from io import StringIO
from pathlib import Path

import pytest

from nnpipe.errors import UsageError
from nnpipe.pipeline.event_log import LOG_FORMAT, EventLog, LoggedStages, warn
from nnpipe.pipeline.run import Run, StageResult
from nnpipe.store.store import Store


def lines(stream: StringIO) -> list[dict[str, object]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def a_run(tmp_path: Path, *statuses: str, status: str = "done") -> Run:
    stages = tuple(StageResult(f"s{n}", "k", each, 1.0, "a", "c") for n, each in enumerate(statuses))  # type: ignore[arg-type]
    return Run("20260101-x", "x", status, stages, {"test_accuracy": 0.98765}, None, 2.5, Store(tmp_path / "s"))  # type: ignore[arg-type]


def test_an_event_is_one_json_object_with_what_applies() -> None:
    stream = StringIO()
    EventLog(stream, "json", "digits").write("stage", "told", stage="ingest", seconds=1.5, status=None)
    (event,) = lines(stream)
    assert str(event.pop("time")).endswith("+00:00")
    assert event == {"level": "info", "event": "stage", "spec": "digits", "stage": "ingest", "seconds": 1.5,
                     "message": "told"}  # fmt: skip


def test_numbers_that_json_does_not_know_are_null() -> None:
    stream = StringIO()
    EventLog(stream, "json").write("epoch", "a loss without end", metrics={"loss": float("inf"), "accuracy": 0.5})
    assert lines(stream)[0]["metrics"] == {"loss": None, "accuracy": 0.5}


def test_text_tells_when_of_what_and_how_bad() -> None:
    stream = StringIO()
    EventLog(stream, "text", "digits").write("server", "it died", level="error")
    assert stream.getvalue()[19:] == "  digits  error: it died\n"


def test_stages_and_epochs_become_events() -> None:
    stream = StringIO()
    stages = LoggedStages(EventLog(stream, "json", "digits"))
    stages.started("finetune")
    stages.epoch("finetune", {"epoch": 2, "seconds": 0.5, "examples": 100, "learning_rate": 0.1, "loss": 0.25}, 10)
    stages.finished("finetune", "computed", 3.0)
    stages.finished("evaluate", "failed", 1.0)
    epoch, done, failed = lines(stream)
    assert (epoch["epoch"], epoch["epochs"], epoch["metrics"]) == (2, 10, {"loss": 0.25})
    assert (done["stage"], done["status"], done["seconds"], done["level"]) == ("finetune", "computed", 3.0, "info")
    assert (failed["status"], failed["level"]) == ("failed", "error")


def test_the_end_of_a_run_tells_its_measures(tmp_path: Path) -> None:
    stream = StringIO()
    log = EventLog(stream, "json", "x")
    log.ended(a_run(tmp_path, "reused", "computed"))
    log.ended(a_run(tmp_path, "computed", status="failed"))
    done, failed = lines(stream)
    assert done["metrics"] == {"test_accuracy": 0.98765}
    assert (done["run"], done["seconds"], done["level"]) == ("20260101-x", 2.5, "info")
    assert (failed["status"], failed["level"]) == ("failed", "error")


@pytest.mark.parametrize(
    ("statuses", "status", "told"),
    [
        (["reused"] * 7, "done", "nothing new: 7 stages reused"),
        (["reused"], "done", "nothing new: 1 stage reused"),
        (["reused", "computed", "computed"], "done", "2 computed, 1 reused, test_accuracy 0.9877"),
        (["resumed"], "interrupted", "interrupted, 1 resumed, test_accuracy 0.9877"),
    ],
)
def test_a_run_is_told_in_words(tmp_path: Path, statuses: list[str], status: str, told: str) -> None:
    assert a_run(tmp_path, *statuses, status=status).told == told


def test_within_a_process_with_a_log_warnings_are_events(capsys: pytest.CaptureFixture[str]) -> None:
    stream = StringIO()
    with EventLog(stream, "json").of_this_process(), warnings.catch_warnings():
        warnings.simplefilter("always")
        warn("ours")
        warnings.warn("theirs", UserWarning, stacklevel=1)
    warn("without a log")
    assert [(event["level"], event["message"]) for event in lines(stream)] == [
        ("warning", "ours"),
        ("warning", "UserWarning: theirs"),
    ]
    assert capsys.readouterr().err == "without a log\n"


def test_where_nobody_reads_any_more_it_falls_silent() -> None:
    stream = StringIO()
    log = EventLog(stream, "json")
    stream.close()
    log.write("stage", "unheard")
    log.write("stage", "unheard, too")


def test_the_environment_chooses_the_format(monkeypatch: pytest.MonkeyPatch) -> None:
    assert EventLog.of_environment().format == "text"
    monkeypatch.setenv(LOG_FORMAT, "json")
    assert EventLog.of_environment().format == "json"
    monkeypatch.setenv(LOG_FORMAT, "jsno")
    with pytest.raises(UsageError, match="no such log format") as caught:
        EventLog.of_environment()
    assert "'json'" in str(caught.value)
