"""Runs that start from another run's weights, with few labels, with layers that wait."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nnpipe.errors import NnpipeError, SpecError, UsageError
from nnpipe.pipeline.compare import compare
from nnpipe.pipeline.execute import Execution
from nnpipe.pipeline.local import run_local
from nnpipe.pipeline.plan import make_plan
from nnpipe.pipeline.run import Run
from nnpipe.pipeline.runtime import Runtime
from nnpipe.pipeline.spec import Spec, check_spec
from nnpipe.spec.document import Document
from nnpipe.stages.work import Silent
from nnpipe.store.collect import Policy, collect
from nnpipe.store.store import Store

from .conftest import computed, run, statuses

SECOND = """\
version: 1
name: second
data: {source: digits, validation: 0.1}
model:
  layers:
    - {kind: dense, units: 12, activation: sigmoid}
    - {kind: dense, units: 10, activation: sigmoid}
    - {kind: dense, units: 10, activation: softmax}
train:
  optimizer: adam
  epochs: 3
  batch_size: 100
  start: {from: miniature/latest}
visualize: []
"""
AFTER = ["finetune", "evaluate", "visualize", "export", "report"]


def second(*overrides: str) -> Spec:
    return check_spec(Document.parse(SECOND, "second.yaml"), overrides, Path())


def execution(store: Store, *overrides: str) -> Execution:
    return Execution(make_plan(second(*overrides), store, Path()), Runtime(device="cpu", threads=1))


def run_second(store: Store, *overrides: str) -> Run:
    return run_local(execution(store, *overrides))


def test_a_run_starts_from_another_and_is_reused(store: Store) -> None:
    first = run(store)
    still = run_second(store, "train.optimizer={kind: sgd, learning_rate: 1e-30}")
    assert computed(still) == AFTER
    for name in ("layers.0.weight", "layers.0.bias", "layers.1.weight"):
        np.testing.assert_array_equal(still.tensors()[name], first.tensors()[name])
    assert not np.array_equal(still.tensors()["layers.2.weight"], first.tensors()["layers.2.weight"])
    again = make_plan(second("train.optimizer={kind: sgd, learning_rate: 1e-30}"), store, Path())
    assert again.nothing_to_do


def test_another_network_behind_the_ref_computes_it_again_and_the_input_is_named(store: Store) -> None:
    before = run_second(store)
    run(store, "seed=1")
    plan = make_plan(second(), store, Path())
    assert [planned.stage.name for planned in plan.stages if planned.status == "compute"] == AFTER
    after = run_second(store)
    keys = [next(stage.key for stage in each.stages if stage.name == "finetune") for each in (before, after)]
    recipes = [store.find(key).recipe for key in keys]  # type: ignore[union-attr]
    (difference,) = compare(*recipes)
    assert str(difference).startswith("input start: content ")


def test_the_name_does_not_count_what_it_stands_for_does(store: Store) -> None:
    run_second(store)
    id_ = store.refs["miniature/latest"]
    for name in ("miniature", id_, id_[:12]):
        assert statuses(run_second(store, f"train.start.from={name}"))["finetune"] == "reused"


def test_a_pretrained_layer_can_be_started_from(store: Store) -> None:
    layer = run(store).artifact("pretrain/1")
    done = run_second(store, f"train.start.from={layer.id}", "train.epochs=0")
    np.testing.assert_array_equal(done.tensors()["layers.0.weight"], layer.tensors("layer")[0]["weight"])


def test_a_plan_keeps_the_network_that_it_was_made_with(store: Store) -> None:
    planned = execution(store, "train.epochs=0")
    first = run(store)
    run(store, "seed=1")  # miniature/latest moves
    done = run_local(planned)
    np.testing.assert_array_equal(done.tensors()["layers.0.weight"], first.tensors()["layers.0.weight"])


def test_what_a_kept_network_started_from_is_kept(store: Store) -> None:
    run_second(store)
    started_from = store.refs["miniature/latest"]
    run(store, "seed=1")
    assert store.refs["miniature/latest"] != started_from
    collect(store, Policy(keep_runs=0, grace=0))
    assert started_from in store.artifacts()
    del store.refs["second/latest"]
    collect(store, Policy(keep_runs=0, grace=0))
    assert started_from not in store.artifacts()


@pytest.mark.parametrize(
    ("name", "hint"), [("miniature/latst", "did you mean 'miniature/latest'?"), ("digits-dbn/latest", None)]
)
def test_a_ref_that_is_not_there_is_told(store: Store, name: str, hint: str | None) -> None:
    with pytest.raises(UsageError, match=f"nothing is called '{name}'") as caught:
        make_plan(second(f"train.start.from={name}"), store, Path())
    assert str(caught.value.where).startswith("train.start.from, in ")
    assert caught.value.hint == hint or hint is None


def test_an_artifact_without_weights_is_told(store: Store) -> None:
    data = run(store).artifact("ingest").id
    with pytest.raises(UsageError, match="has no weights to start from") as caught:
        make_plan(second(f"train.start.from={data}"), store, Path())
    assert caught.value.found == "what the stage ingest made"


REFUSED = [
    (["train.start.from=second/latest"], "train.start.from: a run cannot start from its own spec's latest network"),
    (["train.start.layers=4"], "train.start.layers: more layers to start than the network has"),
    (["train.start.layers=[{layer: 5}]"], "train.start.layers.0.layer: the network has no layer 5"),
    (["train.start.layers=[{layer: 1}, {layer: 1, of: 2}]"], "layer 1 cannot start from two layers"),
    (["pretrain={method: rbm, layers: 1}"], "train.start: layer 1 is pretrained here, and starts from another run"),
    (["train.start=null", "train.frozen_epochs=2"], "train.frozen_epochs: there is nothing to freeze"),
    (["train.start.layers=3", "train.frozen_epochs=2"], "train.frozen_epochs: all layers would be frozen"),
    (["train.examples=9"], "train.examples: fewer training examples than classes"),
]


@pytest.mark.parametrize(("overrides", "message"), REFUSED, ids=[message for _, message in REFUSED])
def test_specs_that_cannot_be_are_refused(overrides: list[str], message: str) -> None:
    with pytest.raises(SpecError) as caught:
        second(*overrides)
    assert len(caught.value.problems) == 1
    assert message in str(caught.value)


def test_a_layer_above_pretrained_ones_can_start_elsewhere(store: Store) -> None:
    first = run(store)
    overrides = ("pretrain={method: rbm, layers: 1, epochs: 1, batch_size: 100}", "train.start.layers=[{layer: 2}]")
    done = run_second(store, *overrides, "train.epochs=0", "train.frozen_epochs=1")
    pretrained = done.artifact("pretrain/1").tensors("layer")[0]
    np.testing.assert_array_equal(done.tensors()["layers.0.weight"], pretrained["weight"])
    np.testing.assert_array_equal(done.tensors()["layers.1.weight"], first.tensors()["layers.1.weight"])


def test_pretrained_layers_wait_as_long_as_the_spec_says(store: Store) -> None:
    pretrained = run(store).artifact("pretrain/1").tensors("layer")[0]["weight"]
    waiting = run(store, "train.frozen_epochs=2")
    assert computed(waiting) == AFTER
    np.testing.assert_array_equal(waiting.tensors()["layers.0.weight"], pretrained)
    going = run(store, "train.frozen_epochs=1")
    assert not np.array_equal(going.tensors()["layers.0.weight"], pretrained)


class StopAfter(Silent):
    def __init__(self, execution: Execution, number: int) -> None:
        self.execution, self.number = execution, number

    def epoch(self, stage: str, record: Any, epochs: int) -> None:
        if (stage, record["epoch"]) == ("finetune", self.number):
            self.execution.stopping.set()


@pytest.mark.parametrize("epoch", [1, 2])
def test_an_interrupted_run_with_all_of_it_goes_on_to_the_same_bytes(store: Store, epoch: int) -> None:
    options = ("train.frozen_epochs=2", "train.examples=200", "train.batch_size=32")
    stopped = execution(store, *options)
    stopped.observer = StopAfter(stopped, epoch)
    with pytest.raises(NnpipeError, match=f"stopped in epoch {epoch + 1}"):
        run_local(stopped)
    resumed = run_second(store, *options)
    assert statuses(resumed)["finetune"] == "resumed"
    again = make_plan(second(*options), store, Path(), force=["finetune"])
    whole = run_local(Execution(again, Runtime(device="cpu", threads=1)))
    assert statuses(whole)["finetune"] == "computed"
    assert resumed.artifact("finetune").id == whole.artifact("finetune").id


def test_fewer_examples_compute_training_alone_and_are_told(store: Store) -> None:
    few = run(store, "train.examples=100", "train.loss={kind: cross_entropy, class_weights: balanced}")
    assert computed(few) == AFTER
    assert few.artifact("finetune").summary["examples"] == 100
    assert few.artifact("finetune").json("examples")["class_counts"] == [10] * 10
    assert few.report is not None
    assert "100 of the training examples" in Path(few.report).read_text()


def test_more_examples_than_there_are_say_how_many_there_are(store: Store) -> None:
    with pytest.raises(NnpipeError, match="5000 training examples cannot be chosen") as caught:
        run(store, "train.examples=5000")
    there = run(store).artifact("ingest").summary["examples"]["train"]
    assert caught.value.expected == f"from 10, one of each class, to the {there} that there are"


def test_every_run_tells_what_it_started_from(store: Store) -> None:
    done = run_second(store)
    made = json.loads(store.recipe_path(next(s.key for s in done.stages if s.name == "finetune")).read_bytes())["made"]
    assert made["inputs"]["start"] == store.refs["miniature/latest"]


UNROLLED = (
    "model={layers: [{kind: dense, units: 12, activation: sigmoid}, {kind: dense, units: 10, activation: sigmoid}], "
    "unroll: {output: sigmoid}}",
    "train.loss=binary_cross_entropy",
)


def test_what_mirrors_a_pretrained_layer_waits_with_it(store: Store) -> None:
    options = (*UNROLLED, "pretrain.layers=1", "train.frozen_epochs=2", "name=unrolled")
    done = run(store, *options)
    pretrained = done.artifact("pretrain/1").tensors("layer")[0]
    np.testing.assert_array_equal(done.tensors()["layers.0.weight"], pretrained["weight"])
    np.testing.assert_array_equal(done.tensors()["layers.3.weight"], pretrained["weight"].T)
    first = run(store, *options, "train.epochs=0", until="finetune")
    assert not np.array_equal(done.tensors()["layers.2.weight"], first.tensors()["layers.2.weight"])
    with pytest.raises(SpecError, match="all layers would be frozen"):
        run(store, *UNROLLED, "train.frozen_epochs=2")


def test_a_classifier_starts_from_an_encoder_and_a_decoder_from_another_runs_encoder(store: Store) -> None:
    encoder = run(store, *UNROLLED, "name=unrolled").tensors()
    classifier = run_second(store, "train.start.from=unrolled", "train.epochs=0").tensors()
    for name in ("layers.0.weight", "layers.1.bias"):
        np.testing.assert_array_equal(classifier[name], encoder[name])
    mirrored = "train.start.layers=[{layer: 1}, {layer: 4, of: 1, transposed: true}]"
    unrolled = run_second(store, *UNROLLED, mirrored, "train.epochs=0").tensors()
    first = store.artifact(store.refs["miniature/latest"]).tensors("model")[0]
    np.testing.assert_array_equal(unrolled["layers.0.weight"], first["layers.0.weight"])
    np.testing.assert_array_equal(unrolled["layers.3.weight"], first["layers.0.weight"].T)
