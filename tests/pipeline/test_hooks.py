"""What is done when a run is over, and that nothing that goes wrong there changes the run."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from nnpipe.errors import Interrupted, NnpipeError, SpecError
from nnpipe.pipeline import execute
from nnpipe.pipeline.execute import Execution
from nnpipe.pipeline.local import run_local
from nnpipe.pipeline.plan import make_plan
from nnpipe.pipeline.run import Run
from nnpipe.pipeline.runtime import Runtime
from nnpipe.pipeline.spec import Spec, check_spec
from nnpipe.spec.document import Document
from nnpipe.store.store import Store

TOLD = """\
version: 1
name: told
data: {source: {kind: two_classes, samples: 40}}
model: {layers: [{kind: dense, units: 1, activation: sigmoid}]}
train: {loss: binary_cross_entropy, optimizer: adam, epochs: 1}
"""
WRITE = "sh -c 'env | grep ^NNPIPE_ | sort >> told.txt; echo end >> told.txt'"


def told(*overrides: str) -> Spec:
    return check_spec(Document.parse(TOLD, "told.yaml"), overrides, Path())


@pytest.fixture
def execution(tmp_path: Path) -> Any:
    def execution(*overrides: str, **options: Any) -> Execution:
        plan = make_plan(told(*overrides), Store(tmp_path / "artifacts"), tmp_path, until="ingest")
        return Execution(plan, Runtime(device="cpu", threads=1), **options)

    return execution


def hook(event: str, **hook: Any) -> str:
    return f"hooks.{event}={json.dumps([hook])}"


def written(folder: Path) -> list[dict[str, str]]:
    """What each command that was called had in its environment."""
    path = folder / "told.txt"
    calls = path.read_text().split("end\n")[:-1] if path.exists() else []
    return [dict(line.split("=", 1) for line in call.splitlines()) for call in calls]


def test_a_command_is_told_of_the_run_and_starts_in_the_folder_of_the_spec(execution: Any, tmp_path: Path) -> None:
    done: Run = run_local(execution(hook("success", command=WRITE), hook("failure", command=WRITE)))
    (call,) = written(tmp_path)
    assert call["NNPIPE_EVENT"] == "success"
    assert (call["NNPIPE_RUN"], call["NNPIPE_SPEC"], call["NNPIPE_STATUS"]) == (done.run, "told", "done")
    assert call["NNPIPE_STORE"] == str(tmp_path / "artifacts")
    assert json.loads(call["NNPIPE_METRICS"]) == done.metrics
    assert json.loads(call["NNPIPE_PROMOTION"]) is None
    assert done.warnings == ()


def test_what_a_command_starts_does_not_wait_for_other_processes_to_train_with(
    execution: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    run_local(execution(hook("success", command=["sh", "-c", "env > all.txt"])))
    everything = (tmp_path / "all.txt").read_text()
    assert "NNPIPE_EVENT" in everything
    assert "WORLD_SIZE" not in everything


def test_no_shell_reads_a_command(execution: Any, tmp_path: Path) -> None:
    run_local(execution(hook("success", command=["touch", "$HOME; echo `date` > x"])))
    assert (tmp_path / "$HOME; echo `date` > x").exists()


def test_a_failing_run_calls_the_hooks_of_failure(execution: Any, tmp_path: Path, monkeypatch: Any) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError("in a stage")

    monkeypatch.setattr("nnpipe.stages.ingest.ingest", broken)
    with pytest.raises(NnpipeError, match="ZeroDivisionError"):
        run_local(execution(hook("success", command="true"), hook("failure", command=WRITE)))
    (call,) = written(tmp_path)
    assert (call["NNPIPE_EVENT"], call["NNPIPE_STATUS"]) == ("failure", "failed")
    assert "ZeroDivisionError: in a stage" in call["NNPIPE_ERROR"]


def test_a_run_that_was_stopped_calls_no_hooks(execution: Any, tmp_path: Path) -> None:
    stopped = execution(hook("success", command=WRITE), hook("failure", command=WRITE))
    stopped.stopping.set()
    with pytest.raises(Interrupted):
        run_local(stopped)
    assert written(tmp_path) == []


def test_a_member_of_a_sweep_calls_no_hooks(execution: Any, tmp_path: Path) -> None:
    run_local(execution(hook("success", command=WRITE), latest=False))
    assert written(tmp_path) == []


@pytest.mark.parametrize(
    ("command", "warning"),
    [
        ("sh -c 'echo no room on device >&2; exit 3'", "sh ended with status 3: no room on device"),
        ("no-such-program", "No such file or directory: 'no-such-program'"),
    ],
)
def test_a_command_that_fails_is_a_warning_and_the_others_are_called(
    execution: Any, tmp_path: Path, command: str, warning: str, capsys: pytest.CaptureFixture[str]
) -> None:
    done = run_local(execution(f"hooks.success={json.dumps([{'command': command}, {'command': WRITE}])}"))
    assert done.status == "done"
    (found,) = done.warnings
    assert found.startswith("hooks.success, number 1: ")
    assert warning in found
    assert found in capsys.readouterr().err
    assert len(written(tmp_path)) == 1
    assert Store(tmp_path / "artifacts").runs.get(done.run)["warnings"] == [found]


def test_a_command_that_takes_too_long_is_ended_with_all_that_it_started(execution: Any, tmp_path: Path) -> None:
    began = time.monotonic()
    slow = "sh -c '(sleep 1; touch late) & sleep 30'"
    done = run_local(execution(hook("success", command=slow, timeout=0.2)))
    assert time.monotonic() - began < 20
    assert "took more than 0.2 s and was ended" in done.warnings[0]
    time.sleep(1)
    assert not (tmp_path / "late").exists()


# -- webhooks ------------------------------------------------------------------------------------------------


@contextmanager
def server(*statuses: int) -> Iterator[tuple[str, list[Any]]]:
    """Answers with these statuses, one after another; its address, and what it was sent."""
    received: list[Any] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            received.append((self.headers["Content-Type"], json.loads(body)))
            self.send_response(statuses[len(received) - 1])
            self.end_headers()

        def log_message(self, *_: object) -> None: ...

    with HTTPServer(("127.0.0.1", 0), Handler) as http:
        thread = Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{http.server_port}/told", received
        http.shutdown()
        thread.join()


def test_a_webhook_is_sent_the_run_as_json(execution: Any) -> None:
    with server(204) as (address, received):
        done = run_local(execution(hook("success", webhook=address)))
    ((kind, message),) = received
    assert kind == "application/json"
    assert message["event"] == "success"
    assert message["run"] == done.run
    assert [stage["name"] for stage in message["stages"]] == ["ingest"]
    assert not {"whole_spec", "environment"} & set(message)


def test_a_webhook_that_fails_is_tried_once_more(execution: Any) -> None:
    with server(500, 200) as (address, received):
        done = run_local(execution(hook("success", webhook=address)))
    assert (len(received), done.warnings) == (2, ())
    with server(500, 503, 200) as (address, received):
        done = run_local(execution(hook("success", webhook=address)))
    assert len(received) == 2
    assert "503" in done.warnings[0]


def test_an_address_may_stand_in_the_environment(execution: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    with server(200) as (address, received):
        monkeypatch.setenv("TELL_ME", address)
        assert run_local(execution(hook("success", webhook="$TELL_ME"))).warnings == ()
        assert len(received) == 1
    monkeypatch.setenv("TELL_ME", "file:///etc/passwd")
    done = run_local(execution(hook("success", webhook="$TELL_ME")))
    assert "$TELL_ME holds no address" in done.warnings[0]


def test_nobody_there_is_a_warning(execution: Any) -> None:
    with server() as (address, _):
        pass
    done = run_local(execution(hook("success", webhook=address)))
    assert done.status == "done"
    assert "refused" in done.warnings[0]


# -- promotion -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("promoted", [True, False])
def test_the_hooks_of_promotion_come_after_those_of_success(
    execution: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, promoted: bool
) -> None:
    class Promotion:
        def to_json(self) -> Any:
            return {"promoted": promoted, "champion": "abc"}

    monkeypatch.setattr(execute, "promote_run", lambda *_: Promotion())
    run_local(execution("promote=true", hook("success", command=WRITE), hook("promotion", command=WRITE)))
    calls = written(tmp_path)
    assert [call["NNPIPE_EVENT"] for call in calls] == ["success", "promotion"][: 1 + promoted]
    assert json.loads(calls[0]["NNPIPE_PROMOTION"])["promoted"] is promoted


REFUSED = [
    ({}, "a hook does one thing"),
    ({"command": "true", "webhook": "http://x"}, "a hook does one thing"),
    ({"command": "echo 'never closed"}, "hooks.success.0.command: not a command"),
    ({"command": " "}, "hooks.success.0.command: an empty command"),
    ({"command": []}, "hooks.success.0.command: "),
    ({"webhook": "file:///etc/passwd"}, "hooks.success.0.webhook: "),
    ({"command": "true", "timeout": 0}, "hooks.success.0.timeout: "),
    ({"shell": "true"}, "hooks.success.0.shell: unknown key 'shell'"),
]


@pytest.mark.parametrize(("entry", "message"), REFUSED, ids=[f"{entry}" for entry, _ in REFUSED])
def test_hooks_that_cannot_be_meant_are_refused(entry: dict[str, Any], message: str) -> None:
    with pytest.raises(SpecError) as caught:
        told(hook("success", **entry))
    assert message in str(caught.value)
