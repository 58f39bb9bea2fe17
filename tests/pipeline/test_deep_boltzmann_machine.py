"""Pretrained layers that learn on together as a deep Boltzmann machine, on real digits: from the spec to the report."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nnpipe.errors import Interrupted, SpecError
from nnpipe.models.deep_boltzmann_machine import DeepBoltzmannMachine
from nnpipe.pipeline.execute import Execution
from nnpipe.pipeline.local import run_local
from nnpipe.pipeline.plan import make_plan
from nnpipe.pipeline.run import Run
from nnpipe.pipeline.runtime import Runtime
from nnpipe.pipeline.spec import Spec, check_spec
from nnpipe.spec.document import Document
from nnpipe.stages.work import Silent
from nnpipe.store.store import Store

SPEC = """\
version: 1
name: deep
data: {source: digits, validation: 0.1}
model:
  layers:
    - {kind: flatten}
    - {kind: dense, units: 40, activation: sigmoid}
    - {kind: dropout, rate: 0.1}
    - {kind: dense, units: 30, activation: sigmoid}
    - {kind: dense, units: 10, activation: softmax}
pretrain:
  method: rbm
  epochs: 5
  batch_size: 20
  joint:
    kind: deep_boltzmann_machine
    epochs: 3
    batch_size: 20
    mean_field_steps: 3
    gibbs_steps: 2
    optimizer: {kind: sgd, learning_rate: 0.005}
    likelihood: {runs: 5}
train: {optimizer: {kind: sgd, learning_rate: 0.1, momentum: 0.9}, epochs: 4, batch_size: 20}
visualize: [pretrained_filters, pretraining_curves, reconstructions, pretrained_samples]
"""
AUTOENCODER = (
    "model={layers: [{kind: dense, units: 12, activation: sigmoid}, {kind: dense, units: 5, activation: sigmoid}], "
    "unroll: true}",
    "train.loss=binary_cross_entropy",
)
FIRST_WEIGHTS = ("train.epochs=0",)


def spec_of(*overrides: str) -> Spec:
    return check_spec(Document.parse(SPEC, "deep.yaml"), overrides, Path())


def run(store: Path, *overrides: str, until: str | None = None, observer: Silent | None = None) -> Run:
    plan = make_plan(spec_of(*overrides), Store(store), Path(), until=until)
    return run_local(Execution(plan, Runtime(device="cpu", threads=1), observer=observer or Silent()))


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("deep")


@pytest.fixture(scope="module")
def finished(store: Path) -> Run:
    return run(store)


def layers_of(done: Run, *names: tuple[str, str]) -> list[dict[str, np.ndarray]]:
    return [dict(done.artifact(stage).tensors(part)[0]) for stage, part in names]


def test_all_of_it_runs_and_classifies(finished: Run) -> None:
    assert [stage.name for stage in finished.stages][1:5] == ["pretrain/1", "pretrain/2", "pretrain/joint", "finetune"]
    assert finished.metrics["test_accuracy"] > 0.9
    summary = finished.artifact("pretrain/joint").summary
    assert (summary["method"], summary["units"], summary["epochs"]) == ("deep_boltzmann_machine", [64, 40, 30], 3)
    assert summary["train_log_likelihood_bound"] < 0 < summary["log_partition_standard_error"]
    history = finished.artifact("pretrain/joint").json("history")
    assert {"reconstruction_error", "free_energy", "val_reconstruction_error", "val_free_energy"} <= set(history[0])


def test_the_report_and_its_pictures_tell_of_it(finished: Run) -> None:
    page = finished.artifact("report").path("report.html").read_text()
    assert "one after the other, and then together (deep boltzmann machine)" in page
    assert "64, 40 and 30 units" in page
    captions = {each["name"]: each["caption"] for each in finished.artifact("visualize").json("pictures")}
    assert "Together: reconstruction error from" in captions["pretraining_curves"]
    assert "a chain in all 2 pretrained layers together" in captions["pretrained_samples"]
    assert "doubled rbm, then all layers together" in captions["pretrained_filters"]
    assert "from layer 2" in captions["reconstructions"]


def test_layers_learn_alone_with_the_outer_sides_doubled(finished: Run) -> None:
    settings = [each.settings.method for each in spec_of().pretrain.stack(spec_of().model)]  # type: ignore[union-attr]
    assert [(method.kind, method.doubled) for method in settings] == [  # type: ignore[attr-defined]
        ("doubled_rbm", "visible"),
        ("doubled_rbm", "hidden"),
    ]
    hidden = ["{kind: dense, units: 9, activation: sigmoid}"] * 3
    deeper = spec_of(f"model.layers=[{', '.join(hidden)}, {{kind: dense, units: 10, activation: softmax}}]")
    stack = deeper.pretrain.stack(deeper.model)  # type: ignore[union-attr]
    assert [each.settings.method.kind for each in stack] == ["doubled_rbm", "rbm", "doubled_rbm"]


def test_the_machine_starts_from_the_layers_and_the_network_from_the_machine(store: Path, finished: Run) -> None:
    still = run(store, "pretrain.joint.optimizer.learning_rate=1e-30", *FIRST_WEIGHTS, until="finetune")
    alone = layers_of(still, ("pretrain/1", "layer"), ("pretrain/2", "layer"))
    together = layers_of(still, ("pretrain/joint", "layer_1"), ("pretrain/joint", "layer_2"))
    for one, other in zip(alone, together, strict=True):
        np.testing.assert_allclose(one["weight"], other["weight"], rtol=1e-6)
    np.testing.assert_allclose(together[0]["bias"], (alone[0]["bias"] + alone[1]["visible_bias"]) / 2, rtol=1e-5)
    tensors = still.tensors()
    for layer, index in zip(together, (1, 3), strict=True):
        np.testing.assert_array_equal(tensors[f"layers.{index}.weight"], layer["weight"])
        np.testing.assert_array_equal(tensors[f"layers.{index}.bias"], layer["bias"])
    learned = layers_of(finished, ("pretrain/joint", "layer_1"))
    assert np.abs(learned[0]["weight"] - together[0]["weight"]).max() > 1e-3


def test_other_settings_of_learning_together_reuse_what_was_learned_alone(store: Path, finished: Run) -> None:
    plan = make_plan(spec_of("pretrain.joint.mean_field_steps=4"), Store(store), Path())
    status = {each.stage.name: each.status for each in plan.stages}
    assert [status[name] for name in ("pretrain/1", "pretrain/2")] == ["reuse", "reuse"]
    assert [status[name] for name in ("pretrain/joint", "finetune")] == ["compute", "compute"]
    without = make_plan(spec_of("pretrain.joint=null"), Store(store), Path())
    assert {each.stage.name: each.status for each in without.stages}["pretrain/1"] == "compute"


class StopAfter(Silent):
    """Stops the execution when ``pretrain/joint`` has ended its first epoch."""

    execution: Execution

    def epoch(self, stage: str, record: Any, epochs: int) -> None:
        if stage == "pretrain/joint" and record["epoch"] == 1:
            self.execution.stopping.set()


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_what_was_interrupted_goes_on_to_the_same_bits(
    store: Path, finished: Run, tmp_path: Path, precision: str
) -> None:
    observer, said = StopAfter(), f"pretrain.precision={precision}"
    plan = make_plan(spec_of(said), Store(tmp_path), Path(), until="pretrain/joint")
    assert plan["pretrain/joint"].stage.config.precision == precision  # type: ignore[attr-defined]
    observer.execution = Execution(plan, Runtime(device="cpu", threads=1), observer=observer)
    with pytest.raises(Interrupted):
        run_local(observer.execution)
    whole, resumed = (run(each, said, until="pretrain/joint") for each in (store, tmp_path))
    assert {each.name: each.status for each in resumed.stages}["pretrain/joint"] == "resumed"
    assert resumed.artifact("pretrain/joint").manifest.content == whole.artifact("pretrain/joint").manifest.content
    same = whole.artifact("pretrain/joint").id == finished.artifact("pretrain/joint").id
    assert same == (precision == "float32")


def test_an_autoencoder_decodes_as_the_machine_does(store: Path) -> None:
    done = run(store, *AUTOENCODER, *FIRST_WEIGHTS, until="finetune")
    layers = layers_of(done, ("pretrain/joint", "layer_1"), ("pretrain/joint", "layer_2"))
    machine, tensors = DeepBoltzmannMachine.composed(layers), done.tensors()
    np.testing.assert_array_equal(tensors["layers.3.weight"], machine.weights[0].detach().T)
    np.testing.assert_array_equal(tensors["layers.2.weight"], 2 * machine.weights[1].detach().T)
    np.testing.assert_array_equal(tensors["layers.3.bias"], machine.biases[0].detach())


def test_another_run_starts_from_all_layers_together(store: Path, finished: Run) -> None:
    machine = finished.artifact("pretrain/joint")
    start = (f"train.start={{from: {machine.id}, layers: 2}}", "pretrain=null", "name=other", *FIRST_WEIGHTS)
    tensors = run(store, *start, until="finetune").tensors()
    np.testing.assert_array_equal(tensors["layers.3.weight"], machine.tensors("layer_2")[0]["weight"])


def test_probes_ask_the_layers_as_they_learned_alone(store: Path, finished: Run) -> None:
    done = run(store, "probe={examples: 200}", until="probe/2")
    assert done.artifact("probe/2").summary["features"] == 30


REFUSED = [
    (["pretrain.layers=1"], "pretrain.joint: a deep Boltzmann machine has at least two hidden layers"),
    (["model.layers.3.activation=relu"], "found: layer dense with activation relu"),
    (
        [
            "model.layers.0={kind: conv2d, filters: 2, kernel: 3, activation: sigmoid}",
            "model.layers.2={kind: flatten}",
            "model.layers.1={kind: conv2d, filters: 2, kernel: 3, activation: sigmoid}",
        ],
        "found: layer conv2d",
    ),
    (["pretrain.method=autoencoder"], "found: method autoencoder"),
    (["pretrain.method={kind: rbm, sparsity: {}}"], "found: method rbm with sparsity"),
    (
        ["pretrain.method={kind: rbm, sampler: parallel_tempering}"],
        "found: method rbm with sampler",
    ),
    (["pretrain.per_layer={2: {method: {kind: rbm, visible: gaussian}}}"], "found: method rbm with visible: gaussian"),
    (["model.layers.2={kind: activation, activation: sigmoid}"], "found: layer activation before it"),
    (["pretrain.joint.optimizer=conjugate_gradient"], "conjugate_gradient has no use for what deep_boltzmann_machine"),
    (["pretrain.joint.optimizer={kind: adam, learning_rate: 0.1}", "pretrain.joint.momentum=0.5"], "unknown key"),
    (["pretrain.method=doubled_rbm"], "doubled_rbm"),
]


@pytest.mark.parametrize(("overrides", "message"), REFUSED, ids=[message for _, message in REFUSED])
def test_what_is_no_such_machine_is_refused(overrides: list[str], message: str) -> None:
    with pytest.raises(SpecError) as caught:
        spec_of(*overrides)
    problem = caught.value.problems[0]
    assert message in f"{problem.where}: {problem.what} found: {problem.found}"


def test_inputs_are_read_as_probabilities() -> None:
    with pytest.raises(SpecError, match="reads values as probabilities"):
        spec_of("data.scaling=standard")
