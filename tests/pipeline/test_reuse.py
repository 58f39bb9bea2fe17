"""What is computed again, and what is not: the promises of the README, one test each."""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
import pytest

from nnpipe.errors import NnpipeError, StageError, UsageError
from nnpipe.pipeline.execute import Execution
from nnpipe.pipeline.local import run_local
from nnpipe.pipeline.recipe import recipe, recipe_key
from nnpipe.pipeline.runtime import Runtime
from nnpipe.stages.work import Silent
from nnpipe.store.store import Store

from .conftest import computed, plan, run, statuses

EVERY = ["ingest", "pretrain/1", "pretrain/2", "finetune", "evaluate", "visualize", "export", "report"]
AFTER_PRETRAINING = ["finetune", "evaluate", "visualize", "export", "report"]


def test_a_first_run_computes_every_stage_in_order(tmp_path: Path) -> None:
    first = run(Store(tmp_path / "artifacts"))
    assert statuses(first) == dict.fromkeys(EVERY, "computed")
    assert 0 < first.metrics["test_accuracy"] <= 1
    assert first.report is not None
    assert Path(first.report).read_text().startswith("<!DOCTYPE html>")


def test_a_second_run_reuses_every_stage_and_comes_to_the_same(store: Store) -> None:
    assert plan(store).nothing_to_do
    again = run(store)
    assert statuses(again) == dict.fromkeys(EVERY, "reused")
    assert set(again.metrics) >= {"test_accuracy", "test_loss"}


def test_another_learning_rate_reuses_ingestion_and_every_pretrained_layer(store: Store) -> None:
    assert computed(run(store, "train.optimizer.learning_rate=0.01")) == AFTER_PRETRAINING


def test_another_pretrained_layer_on_top_reuses_those_below(store: Store) -> None:
    added = "model.layers=" + str(
        [{"kind": "dense", "units": units, "activation": "sigmoid"} for units in (12, 10, 8)]
        + [{"kind": "dense", "units": 10, "activation": "softmax"}]
    )
    assert computed(run(store, added, "pretrain.layers=3")) == ["pretrain/3", *AFTER_PRETRAINING]


def test_another_format_of_the_data_computes_ingestion_alone(store: Store) -> None:
    before = run(store)
    after = run(store, "data.format=zarr")
    assert computed(after) == ["ingest"]
    assert before.artifact("ingest").manifest.content == after.artifact("ingest").manifest.content
    assert before.artifact("ingest").id != after.artifact("ingest").id


def test_another_picture_computes_pictures_and_report_alone(store: Store) -> None:
    assert computed(run(store, "visualize=[confusion_matrix]")) == ["visualize", "report"]


def test_another_name_computes_the_report_alone(store: Store) -> None:
    assert computed(run(store, "name=other")) == ["report"]


def test_another_card_computes_what_shows_it(store: Store) -> None:
    after = run(store, "card={intended_use: For teaching.}")
    assert computed(after) == ["export", "report"]
    assert "> For teaching.\n" in (after.artifact("export").path("model_card.md")).read_text(encoding="utf-8")


def test_another_seed_computes_everything_but_the_data(store: Store) -> None:
    assert computed(run(store, "seed=1")) == EVERY[1:]


def test_a_forced_stage_that_comes_to_the_same_stops_the_wave(store: Store) -> None:
    assert computed(run(store, force=["pretrain/1"])) == ["pretrain/1"]


def test_until_leaves_out_what_is_not_needed(tmp_path: Path) -> None:
    assert list(statuses(run(Store(tmp_path / "artifacts"), until="pretrain/1"))) == ["ingest", "pretrain/1"]


@pytest.mark.parametrize("options", [{"until": "finetine"}, {"force": ["finetine"]}])
def test_an_unknown_stage_names_the_nearest(store: Store, options: dict[str, str]) -> None:
    with pytest.raises(UsageError, match="did you mean 'finetune'"):
        plan(store, **options)  # type: ignore[arg-type]


def test_a_plan_tells_what_a_run_then_does(store: Store) -> None:
    planned = plan(store, "train.epochs=3")
    assert [p.stage.name for p in planned.stages if p.status != "reuse"] == AFTER_PRETRAINING
    assert planned["pretrain/2"].key is not None
    assert planned["evaluate"].key is None  # known only when the network is trained


def test_planning_writes_nothing(tmp_path: Path) -> None:
    plan(Store(tmp_path / "artifacts"))
    assert list(tmp_path.iterdir()) == []


def test_the_same_seed_gives_the_same_artifacts_in_another_store(store: Store, tmp_path: Path) -> None:
    here, there = run(store), run(Store(tmp_path / "elsewhere"))
    for mine, other in zip(here.stages, there.stages, strict=True):
        assert (mine.name, mine.content) == (other.name, other.content)
        if mine.name != "report":  # its times are no part of its content, but of its bytes
            assert (mine.name, mine.artifact) == (other.name, other.artifact)


def test_latest_points_at_the_trained_network(store: Store) -> None:
    done = run(store)
    assert store.refs["miniature/latest"] == done.artifact("finetune").id
    tensors, about = store.artifact(store.refs["miniature/latest"]).tensors("model")
    assert tensors["layers.0.weight"].shape == (12, 64)
    assert about["input_shape"] == [1, 8, 8]


def test_pretrained_weights_are_where_finetuning_starts(store: Store) -> None:
    done = run(store, "train.optimizer={kind: sgd, learning_rate: 1e-30}")
    pretrained = done.artifact("pretrain/1").tensors("layer")[0]
    np.testing.assert_array_equal(done.tensors()["layers.0.weight"], pretrained["weight"])
    np.testing.assert_array_equal(done.tensors()["layers.0.bias"], pretrained["bias"])


def test_every_run_is_recorded(store: Store) -> None:
    done = run(store)
    record = store.runs.get(done.run)
    assert record is not None
    assert record["status"] == "done"
    assert record["whole_spec"]["name"] == "miniature"
    assert record["metrics"] == done.metrics
    assert record["environment"] is None or "python" in record["environment"]


def test_without_epochs_the_first_weights_are_measured_drawn_and_reported(store: Store) -> None:
    done = run(store, "train.epochs=0", "visualize=[gradient_flow]")
    assert computed(done) == AFTER_PRETRAINING
    assert done.artifact("finetune").summary["epochs"] == 0
    assert len(done.artifact("finetune").json("history")["inside"]) == 1
    assert done.artifact("visualize").summary["pictures"] == ["gradient_flow"]


def test_the_report_says_in_words_why_training_ended(store: Store) -> None:
    done = run(store, "train.goal=100")
    assert done.artifact("finetune").summary["stopped"] == "goal"
    assert done.report is not None
    told = " ".join(Path(done.report).read_text().split())
    assert "Training ended after 1 epoch (goal: the loss was as small as asked for)." in told


def test_a_plan_that_is_carried_out_later_looks_again(store: Store) -> None:
    planned = plan(store)
    assert planned.nothing_to_do
    store.quarantine(planned["finetune"].record.artifact)
    assert "finetune" in computed(run_local(Execution(planned, Runtime(device="cpu", threads=1))))


# -- when something goes wrong -------------------------------------------------------------------------------


def test_a_failed_stage_leaves_nothing_and_keeps_what_was_finished(tmp_path: Path) -> None:
    store = Store(tmp_path / "artifacts")
    with pytest.raises(StageError, match="diverged"):
        run(store, "train.optimizer={kind: sgd, learning_rate: 3e38}")
    assert [record.recipe["stage"] for record in store.records()].count("finetune") == 0
    assert not list((store.root / "work").glob("*/output-*"))
    failed = next(store.runs.newest_first())
    assert failed["status"] == "failed"
    assert "diverged" in failed["error"]
    assert computed(run(store)) == AFTER_PRETRAINING


def test_a_damaged_input_is_moved_away_and_computed_again(store: Store) -> None:
    before = run(store)
    data = before.artifact("ingest").directory / "data.h5"
    data.write_bytes(data.read_bytes()[:-1000])
    after = run(store, "train.epochs=1")
    assert after.artifact("ingest").id == before.artifact("ingest").id
    assert [path.name[:64] for path in (store.root / "quarantine").iterdir()] == [before.artifact("ingest").id]


@pytest.mark.parametrize("stage", EVERY)
def test_damage_in_what_is_only_reused_is_found_and_mended(store: Store, stage: str) -> None:
    before = run(store)
    artifact = before.artifact(stage)
    largest = max(artifact.manifest.files, key=lambda name: artifact.manifest.files[name][0])
    path = artifact.directory / largest
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    assert plan(store)[stage].status == "compute"
    after = run(store)
    assert computed(after) == [stage]
    assert after.artifact(stage).manifest.content == artifact.manifest.content
    assert len(list((store.root / "quarantine").iterdir())) == 1


def test_a_forced_stage_mends_its_damaged_artifact(store: Store) -> None:
    before = run(store)
    data = before.artifact("ingest").directory / "data.h5"
    whole = data.read_bytes()
    data.write_bytes(whole[:-1000])
    after = run(store, force=["ingest"])
    assert after.artifact("ingest").id == before.artifact("ingest").id
    assert data.read_bytes() == whole


def test_an_unexpected_error_is_told_with_its_place(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nnpipe.stages.report.spec_text", lambda _: 1 / 0)
    with pytest.raises(StageError, match="stage report failed: ZeroDivisionError") as caught:
        run(store, "name=other")
    assert caught.value.where is not None
    assert "spec_text" in Path(caught.value.where).read_text()


class StopAt:
    """An observer that asks to stop when a stage's epoch ends."""

    def __init__(self, execution: Execution, stage: str, epoch: int) -> None:
        self.execution, self.stage, self.number = execution, stage, epoch

    def started(self, stage: str) -> None: ...

    def epoch(self, stage: str, record: dict[str, float], epochs: int) -> None:
        if (stage, record["epoch"]) == (self.stage, self.number):
            self.execution.stopping.set()

    def advanced(self, stage: str, done: int, total: int, measures: dict[str, float]) -> None: ...

    def waiting(self, stage: str, owner: str) -> None: ...

    def finished(self, stage: str, status: str, seconds: float) -> None: ...


def test_two_runs_at_once_compute_a_stage_once_and_the_second_says_whom_it_waits_for(store: Store) -> None:
    first = Execution(plan(store, "name=other"), Runtime(device="cpu", threads=1))
    second = Execution(plan(store, "name=other"), Runtime(device="cpu", threads=1))
    for each in (first, second):
        for name in EVERY[:-1]:
            each.execute(name)
    waited: list[str] = []
    go_on = threading.Event()

    class Waits(Silent):
        def waiting(self, stage: str, owner: str) -> None:
            waited.append(f"{stage} {owner}")
            go_on.set()

    second.observer = Waits()
    key = recipe_key(recipe(first.plan["report"].stage, _inputs(first, "report"), store.memo))
    with store.lock(key, owner=f"run {first.name}"):
        waiter = threading.Thread(target=second.execute, args=["report"])
        waiter.start()
        assert go_on.wait(10)
    waiter.join()
    assert waited == [f"report run {first.name}"]
    assert second.results["report"].status == "computed"
    assert first.execute("report").status == "reused"


def _inputs(execution: Execution, stage: str) -> dict[str, str]:
    made = execution.plan[stage].stage.inputs
    return {word: execution.results[made_by].content for word, made_by in made.items()}


@pytest.mark.parametrize("stage", ["pretrain/1", "finetune"])
def test_an_interrupted_stage_is_resumed_and_gives_the_same_bytes(tmp_path: Path, stage: str) -> None:
    epochs = ("pretrain.epochs=3", "train.epochs=3")
    store = Store(tmp_path / "artifacts")
    execution = Execution(plan(store, *epochs), Runtime(device="cpu", threads=1))
    execution.observer = StopAt(execution, stage, 2)
    with pytest.raises(NnpipeError, match="stopped in epoch"):
        run_local(execution)
    assert plan(store, *epochs)[stage].status == "resume"
    resumed = run(store, *epochs)
    assert statuses(resumed)[stage] == "resumed"
    uninterrupted = run(Store(tmp_path / "other"), *epochs)
    assert resumed.artifact("finetune").id == uninterrupted.artifact("finetune").id
    assert not list((store.root / "work").iterdir())


# -- layers with settings of their own -----------------------------------------------------------------------


def test_settings_of_an_upper_layer_reuse_the_layers_below(store: Store) -> None:
    assert computed(run(store, "pretrain.per_layer.2.epochs=2")) == ["pretrain/2", *AFTER_PRETRAINING]


def test_settings_that_say_what_is_common_anyway_compute_nothing(store: Store) -> None:
    assert "finetune" not in computed(run(store, "pretrain.per_layer.2={method: rbm, epochs: 1}"))


MIXED = (
    "pretrain.per_layer.2={method: {kind: autoencoder, loss: mean_squared_error, contraction: 0.01}, optimizer: adam}"
)


def test_autoencoders_stand_above_a_boltzmann_machine(store: Store) -> None:
    done = run(store, MIXED, "visualize=[pretraining_curves, reconstructions, pretrained_filters]")
    assert computed(done) == ["pretrain/2", *AFTER_PRETRAINING]
    assert [done.artifact(f"pretrain/{number}").summary["method"] for number in (1, 2)] == ["rbm", "autoencoder"]
    assert "visible_bias" in done.artifact("pretrain/2").tensors("layer")[0]
    assert len(done.artifact("visualize").summary["pictures"]) == 3


CONVOLUTIONAL = (
    "model.layers=[{kind: conv2d, filters: 4, kernel: 3, activation: sigmoid}, {kind: max_pool2d, size: 2},"
    "{kind: conv2d, filters: 3, kernel: 2, activation: relu}, flatten, {kind: dense, units: 9, activation: sigmoid},"
    "{kind: dense, units: 10, activation: softmax}]",
    "pretrain={method: {kind: autoencoder, loss: mean_squared_error}, epochs: 1, per_layer: {3: {method: supervised}}}",
    "train.optimizer={kind: sgd, learning_rate: 1e-30}",
)


def test_a_convolutional_stack_is_pretrained_and_finetuned_from(store: Store) -> None:
    done = run(store, *CONVOLUTIONAL, "visualize=null")
    weights = done.tensors()
    for number, place in ((1, 0), (2, 2), (3, 4)):
        pretrained = done.artifact(f"pretrain/{number}").tensors("layer")[0]
        for name in ("weight", "bias"):
            np.testing.assert_array_equal(weights[f"layers.{place}.{name}"], pretrained[name])
    drawn = done.artifact("visualize").summary["pictures"]
    assert {"pretrained_filters", "pretraining_curves", "reconstructions"} <= set(drawn)
    assert done.report is not None
    told = " ".join(Path(done.report).read_text().split())
    assert "Its first 3 layers were pretrained (autoencoder and supervised), one after the other" in told
    assert "Supervised had the labels too." in told
    # Dropout does nothing outside training: pretraining does not depend on it.
    dropping = CONVOLUTIONAL[0].replace("flatten,", "flatten, {kind: dropout, rate: 0.2},")
    again = run(store, dropping, *CONVOLUTIONAL[1:], until="finetune")
    assert computed(again) == ["finetune"]
    # Another pool is seen by the layer above it alone.
    averaged = CONVOLUTIONAL[0].replace("max_pool2d", "avg_pool2d")
    again = run(store, averaged, *CONVOLUTIONAL[1:], until="finetune")
    assert computed(again) == ["pretrain/2", "pretrain/3", "finetune"]
