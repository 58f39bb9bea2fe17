from __future__ import annotations

import os
import signal
import threading

import pytest

import nnpipe
from nnpipe import api
from nnpipe.stages.work import Silent

SPEC = {
    "version": 1,
    "name": "tiny",
    "data": {"source": {"kind": "two_classes", "samples": 60}},
    "model": {
        "layers": [
            {"kind": "dense", "units": 4, "activation": "sigmoid"},
            {"kind": "dense", "units": 1, "activation": "sigmoid"},
        ]
    },
    "train": {
        "loss": "mean_squared_error",
        "optimizer": {"kind": "sgd", "learning_rate": 0.5},
        "epochs": 2,
        "batch_size": 16,
    },
    "visualize": [],
}


def test_every_public_name_can_be_loaded_and_is_listed():
    assert dir(nnpipe) == sorted(nnpipe.__all__)
    for name in nnpipe.__all__:
        assert getattr(nnpipe, name) is not None
    with pytest.raises(AttributeError, match="'nothing'"):
        nnpipe.nothing  # noqa: B018


def test_every_error_is_public():
    import nnpipe.errors

    errors = {name for name, value in vars(nnpipe.errors).items() if isinstance(value, type)}
    assert {name for name in errors if issubclass(getattr(nnpipe.errors, name), Exception)} <= set(nnpipe.__all__)


def test_a_run_gives_metrics_a_report_and_artifacts(tmp_path):
    run = nnpipe.run(SPEC, set={"train.epochs": 1}, store=tmp_path / "store", engine="local")
    assert run.status == "done"
    assert 0 <= run.metrics["test_accuracy"] <= 1
    assert run.artifact("finetune").summary["epochs"] == 1
    assert run.report is not None
    assert os.path.exists(run.report)


def test_a_path_a_mapping_and_a_spec_are_the_same_spec(tmp_path):
    import json

    path = tmp_path / "tiny.yaml"
    path.write_text(json.dumps(SPEC))
    specs = [nnpipe.read_spec(given) for given in (path, str(path), SPEC, nnpipe.read_spec(SPEC))]
    assert all(spec == specs[0] for spec in specs)


@pytest.mark.parametrize(
    "overrides",
    [{"train.epochs": 7, "description": "3"}, ["train.epochs=7", "description='3'"]],
    ids=["mapping", "list"],
)
def test_overrides_reach_every_form_of_a_spec_and_leave_it_alone(overrides):
    for given in (SPEC, nnpipe.read_spec(SPEC)):
        spec = nnpipe.read_spec(given, set=overrides)
        assert (spec.train.epochs, spec.description) == (7, "3")
    assert SPEC["train"]["epochs"] == 2


def test_an_override_may_be_one_text():
    assert nnpipe.read_spec(SPEC, set="train.epochs=7").train.epochs == 7


def test_what_is_not_made_of_plain_values_is_a_usage_error():
    with pytest.raises(nnpipe.UsageError, match="not what a spec is made of"):
        nnpipe.read_spec({**SPEC, "seed": {1, 2}})


@pytest.mark.parametrize(("name", "value"), [("engine", "locl"), ("device", "gpu")])
def test_an_unknown_engine_or_device_is_a_usage_error(tmp_path, name, value):
    with pytest.raises(nnpipe.UsageError, match=f"no {name} '{value}'"):
        nnpipe.run(SPEC, store=tmp_path / "store", **{name: value})
    assert not (tmp_path / "store").exists()


def test_without_prefect_the_local_engine_is_proposed(tmp_path, monkeypatch):
    monkeypatch.setattr(api, "find_spec", lambda name: None)
    with pytest.raises(nnpipe.UsageError, match="--engine local"):
        nnpipe.run(SPEC, store=tmp_path / "store")
    assert nnpipe.run(SPEC, store=tmp_path / "store", engine="local").status == "done"
    # What is all there needs no engine.
    assert {stage.status for stage in nnpipe.run(SPEC, store=tmp_path / "store").stages} == {"reused"}


class Signals(Silent):
    """Sends this process signals when the first epoch has ended."""

    def __init__(self, *numbers: int) -> None:
        self.numbers = numbers

    def epoch(self, *_: object) -> None:
        for number in self.numbers:
            os.kill(os.getpid(), number)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_a_run_with_a_checkpoint_and_the_next_run_goes_on(tmp_path, number):
    before = [signal.getsignal(known) for known in (signal.SIGINT, signal.SIGTERM)]
    with pytest.raises(nnpipe.Interrupted, match="interrupted"):
        nnpipe.run(SPEC, store=tmp_path, engine="local", observer=Signals(number), until="finetune")
    assert [signal.getsignal(known) for known in (signal.SIGINT, signal.SIGTERM)] == before
    again = nnpipe.run(SPEC, store=tmp_path, engine="local", until="finetune")
    assert [stage.status for stage in again.stages] == ["reused", "resumed"]
    whole = nnpipe.run(SPEC, store=tmp_path / "whole", engine="local", until="finetune")
    assert again.artifact("finetune").manifest == whole.artifact("finetune").manifest


def test_a_second_sigint_ends_a_run_at_once(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        nnpipe.run(SPEC, store=tmp_path, engine="local", observer=Signals(signal.SIGINT, signal.SIGINT))


def test_a_run_in_another_thread_leaves_signals_alone(tmp_path):
    handlers = []

    class Look(Silent):
        def started(self, stage: str) -> None:
            handlers.append(signal.getsignal(signal.SIGINT))

    def work() -> None:
        nnpipe.run(SPEC, store=tmp_path, engine="local", observer=Look(), until="ingest")

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert handlers == [signal.getsignal(signal.SIGINT)]


def test_a_sweep_is_not_begun_by_each_of_several_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"WORLD_SIZE": "2", "RANK": "0", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "1"}.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(nnpipe.UsageError, match="a sweep is begun by one process"):
        nnpipe.sweep("specs/digits.yaml", set={"matrix.seed": [0, 1]})
