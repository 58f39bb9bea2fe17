"""Event files are read back with TensorBoard's own reader, and compared with what the artifacts say."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import nnpipe
from nnpipe.cli import main
from nnpipe.errors import Interrupted, UsageError
from nnpipe.pipeline.execute import Execution
from nnpipe.pipeline.graph import stages_of
from nnpipe.pipeline.local import run_local
from nnpipe.pipeline.recipe import recipe, recipe_key
from nnpipe.pipeline.run import Run
from nnpipe.pipeline.runtime import Runtime
from nnpipe.pipeline.tensorboard import event_folder
from nnpipe.store.collect import Policy, collect
from nnpipe.store.store import Store
from tests.pipeline.conftest import plan

pytest.importorskip("tensorboard")
LOGGED = Runtime(device="cpu", threads=1, log="tensorboard")


def logged(store: Store, *overrides: str, runtime: Runtime = LOGGED) -> Run:
    return run_local(Execution(plan(store, *overrides), runtime))


def read(run: Run) -> Any:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(event_folder(run.store, run.run)))
    events.Reload()
    return events


def curves(run: Run) -> dict[str, list[tuple[int, float]]]:
    events = read(run)
    return {tag: [(e.step, e.value) for e in events.Scalars(tag)] for tag in events.Tags()["scalars"]}


def expected(run: Run) -> dict[str, list[tuple[int, float]]]:
    """What the artifacts' histories say, in the precision of an event file."""
    found: dict[str, list[tuple[int, float]]] = {}
    for stage in ("pretrain/1", "pretrain/2", "finetune"):
        history = run.artifact(stage).json("history")
        for record in history["records"] if stage == "finetune" else history:
            for name, value in record.items():
                if name != "epoch":
                    found.setdefault(f"{stage}/{name}", []).append((record["epoch"], float(np.float32(value))))
    return found


@pytest.fixture(scope="module")
def computed(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return logged(Store(tmp_path_factory.mktemp("events") / "store"))


def test_every_epoch_of_every_training_stage_is_in_the_events_with_its_learning_rate(computed: Run) -> None:
    told = curves(computed)
    assert told == expected(computed)
    assert {"finetune/val_accuracy", "finetune/learning_rate", "pretrain/2/reconstruction_error"} <= set(told)
    assert [step for step, _ in told["finetune/loss"]] == [1, 2]


def test_the_pictures_are_there_pixel_by_pixel(computed: Run) -> None:
    events = read(computed)
    assert events.Tags()["images"] == ["visualize/learning_curves"]
    (image,) = events.Images("visualize/learning_curves")
    with Image.open(computed.artifact("visualize").path("learning_curves.png")) as drawn:
        there = np.asarray(Image.open(io.BytesIO(image.encoded_image_string)))
        np.testing.assert_array_equal(there, np.asarray(drawn.convert("RGB")))


def test_what_is_reused_is_written_from_its_artifact(computed: Run) -> None:
    again = logged(computed.store)
    assert {stage.status for stage in again.stages} == {"reused"}
    assert curves(again) == curves(computed)
    assert read(again).Tags()["images"] == ["visualize/learning_curves"]


def test_a_stage_that_goes_on_from_a_checkpoint_is_written_whole_and_in_order(tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    stopped = Execution(plan(store, "train.epochs=4"), Runtime(device="cpu", threads=1, log="tensorboard"))
    epoch = stopped.observer.epoch

    def stop_after_two(stage: str, record: Any, epochs: int) -> None:
        epoch(stage, record, epochs)
        if stage == "finetune" and record["epoch"] == 2:
            stopped.stopping.set()

    stopped.observer.epoch = stop_after_two  # type: ignore[method-assign]
    with pytest.raises(Interrupted):
        run_local(stopped)
    resumed = logged(store, "train.epochs=4")
    assert {s.name: s.status for s in resumed.stages}["finetune"] == "resumed"
    told = curves(resumed)
    assert told == expected(resumed)
    assert [step for step, _ in told["finetune/loss"]] == [1, 2, 3, 4]


def test_the_log_is_part_of_no_key(computed: Run) -> None:
    def keys(*overrides: str) -> list[str]:
        stages = stages_of(plan(computed.store, *overrides).spec)
        return [recipe_key(recipe(stage, {}, computed.store.memo)) for stage in stages]

    assert keys("log=tensorboard") == keys()
    assert plan(computed.store, "log=tensorboard").nothing_to_do


def test_the_spec_is_asked_only_where_something_is_computed_and_the_runtime_before_it(tmp_path: Path) -> None:
    store, quiet = Store(tmp_path / "store"), Runtime(device="cpu", threads=1)
    first = logged(store, "log=tensorboard", runtime=quiet)
    assert curves(first) == expected(first)
    again = logged(store, "log=tensorboard", runtime=quiet)
    assert not event_folder(store, again.run).exists()
    none = logged(store, "log=tensorboard", "train.epochs=1", runtime=Runtime(device="cpu", threads=1, log="none"))
    assert not event_folder(store, none.run).exists()
    without = logged(store, "train.epochs=1", runtime=quiet)
    assert not event_folder(store, without.run).exists()


def test_the_store_is_not_disturbed_by_event_files_and_keeps_them(
    computed: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    garbage = collect(computed.store, Policy(keep_runs=0, grace=0), dry_run=True).garbage
    assert not any("tensorboard" in item.path.parts for item in garbage)
    assert main(["verify", "--store", str(computed.store.root)]) == 0
    assert main(["ls", "--store", str(computed.store.root)]) == 0
    assert "miniature" in capsys.readouterr().out


def test_without_the_package_nothing_is_begun_and_the_pip_line_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nnpipe.pipeline.tensorboard.find_spec", lambda name: None)
    with pytest.raises(UsageError, match="not installed") as caught:
        logged(Store(tmp_path / "store"))
    assert "pip install 'nnpipe[tensorboard]'" in str(caught.value)
    assert caught.value.exit_status == 2
    assert not (tmp_path / "store").exists()


def test_a_disk_that_refuses_event_files_ends_no_run_and_is_told_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "store").mkdir()
    store = Store(tmp_path / "store")
    store.prepare()
    (tmp_path / "store" / "tensorboard").write_text("in the way")
    run = logged(store)
    assert run.status == "done"
    assert capsys.readouterr().err.count("no more TensorBoard event files") == 1


def test_every_run_of_a_sweep_is_logged_and_the_sweeps_report_has_the_same_key(tmp_path: Path) -> None:
    spec = {
        "version": 1,
        "name": "tiny",
        "data": {"source": {"kind": "two_classes", "samples": 60}},
        "model": {"layers": [{"kind": "dense", "units": 1, "activation": "sigmoid"}]},
        "train": {"loss": "mean_squared_error", "optimizer": {"kind": "sgd", "learning_rate": 0.5}, "batch_size": 16},
        "visualize": [],
        "matrix": {"train.epochs": [1, 2]},
    }
    done = nnpipe.sweep({**spec, "log": "tensorboard"}, store=tmp_path / "store", threads=1)
    logged = {path.name for path in (tmp_path / "store" / "tensorboard").iterdir()}
    assert logged == {answer.run for _, answer in done.runs}
    assert nnpipe.sweep(spec, store=tmp_path / "store", threads=1).report == done.report
