"""What ``precision: auto`` comes to: by a measurement that the store keeps, told wherever the plan is."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch

from nnpipe.pipeline import precision
from nnpipe.pipeline.execute import Execution
from nnpipe.pipeline.local import run_local
from nnpipe.pipeline.plan import Plan, make_plan
from nnpipe.pipeline.precision import device_key, memo_key
from nnpipe.pipeline.run import Run
from nnpipe.pipeline.runtime import Runtime
from nnpipe.pipeline.spec import Spec, check_spec
from nnpipe.spec.document import Document
from nnpipe.store.store import Store

AUTO = ("train.precision=auto", "pretrain.precision=auto")
SPEC = """\
version: 1
name: miniature
data: {source: digits, validation: 0.1}
model:
  layers:
    - {kind: dense, units: 12, activation: sigmoid}
    - {kind: dense, units: 10, activation: sigmoid}
    - {kind: dense, units: 10, activation: softmax}
pretrain: {method: rbm, layers: 2, epochs: 1}
train: {epochs: 1}
visualize: []
"""


def spec(*overrides: str) -> Spec:
    return check_spec(Document.parse(SPEC, "miniature.yaml"), overrides, Path())


def knowing(root: Path, times: float) -> Store:
    """A store that remembers bfloat16 to be so many times as fast here."""
    store = Store(root)
    store.prepare()
    machine = {"device": "cpu", "processor": "Abacus 3", "torch": "9.9"}
    store.memo.put(device_key(), "cpu")
    store.memo.put(memo_key("cpu"), {**machine, "float32": times, "bfloat16": 1.0})
    store.remember()
    return store


def planned(store: Store, *overrides: str) -> Plan:
    return make_plan(spec(*overrides), store, Path(), device="cpu")


def decided(plan: Plan) -> dict[str, str]:
    return {decision.field: decision.precision for decision in plan.decisions}


@pytest.fixture
def unmeasured(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(device: str) -> None:
        raise AssertionError("nothing has to be measured")

    monkeypatch.setattr(precision, "_measured", refuse)


@pytest.mark.usefixtures("unmeasured")
@pytest.mark.parametrize(("times", "wanted"), [(2.3, "bfloat16"), (1.31, "bfloat16"), (1.29, "float32")])
def test_bfloat16_is_taken_where_it_was_measured_to_be_fast_enough(tmp_path: Path, times: float, wanted: str) -> None:
    plan = planned(knowing(tmp_path, times), *AUTO)
    assert decided(plan) == {"train.precision": wanted, "pretrain.precision": wanted}
    assert plan["finetune"].stage.config.train.precision == wanted  # type: ignore[attr-defined]
    assert plan["pretrain/2"].stage.config.precision == wanted  # type: ignore[attr-defined]
    assert all(f"{times:.1f} times as fast as float32 on Abacus 3" in str(each) for each in plan.decisions)


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run with auto for everything, where bfloat16 is known to be fast."""
    store = knowing(tmp_path_factory.mktemp("fast"), 2.0)
    return run_local(Execution(planned(store, *AUTO), Runtime("cpu", threads=1)))


def test_keys_hold_what_auto_came_to_and_not_that_it_was_asked_for(done: Run) -> None:
    said = planned(done.store, "train.precision=bfloat16", "pretrain.precision=bfloat16")
    assert said.nothing_to_do
    assert said.decisions == ()
    assert planned(done.store, "train.precision=bfloat16")["pretrain/1"].status == "compute"


def test_the_record_of_a_run_tells_what_was_decided_and_can_be_run_again_anywhere(done: Run) -> None:
    record = done.store.runs.get(done.run)
    assert record is not None
    assert record["whole_spec"]["train"]["precision"] == record["whole_spec"]["pretrain"]["precision"] == "bfloat16"
    assert [told["field"] for told in record["precision"]] == ["train.precision", "pretrain.precision"]
    assert all(told["measured"]["float32"] == 2.0 for told in record["precision"])


def test_the_report_tells_it_and_is_the_same_report_as_of_another_measurement(done: Run) -> None:
    made = done.artifact("report")
    page = made.path("report.html").read_text()
    assert "train.precision auto -&gt; bfloat16: 2.0 times as fast as float32 on Abacus 3" in page
    store = knowing(done.store.root, 2.5)
    plan = make_plan(spec(*AUTO), store, Path(), device="cpu", force=["finetune", "report"])
    again = run_local(Execution(plan, Runtime("cpu", threads=1)))
    assert {stage.name: stage.content for stage in again.stages}["report"] == made.manifest.content


@pytest.mark.usefixtures("unmeasured")
@pytest.mark.parametrize(
    ("overrides", "why"),
    [
        (("train.optimizer=scaled_conjugate_gradient", "train.batch_size=full"), "scaled_conjugate_gradient needs it"),
        (("train.loss=mean_squared_error",), "mean_squared_error needs it"),
        (
            ("train.optimizer=levenberg_marquardt", "train.loss=mean_squared_error", "train.batch_size=full"),
            "levenberg_marquardt needs it",
        ),
    ],
    ids=["conjugate_gradient", "distances", "levenberg_marquardt"],
)
def test_what_needs_float32_has_it_without_a_measurement(tmp_path: Path, overrides: tuple[str, ...], why: str) -> None:
    plan = planned(Store(tmp_path / "none"), "train.precision=auto", *overrides)
    assert [(each.precision, each.reason) for each in plan.decisions] == [("float32", why)]


@pytest.mark.usefixtures("unmeasured")
def test_the_up_down_algorithm_takes_auto_for_float32(tmp_path: Path) -> None:
    layers = "[{kind: dense, units: 8, activation: sigmoid}, {kind: classification_rbm, hidden: 6, classes: 10}]"
    overrides = ("train.algorithm=up_down", "train.optimizer=sgd", f"model.layers={layers}", "pretrain=null")
    plan = planned(Store(tmp_path / "none"), "train.precision=auto", *overrides)
    assert [str(each) for each in plan.decisions] == ["train.precision auto -> float32: up_down needs it"]


@pytest.mark.usefixtures("unmeasured")
def test_a_layer_of_its_own_precision_is_decided_by_its_own_optimizer(tmp_path: Path) -> None:
    method = "{kind: autoencoder}"
    own = "{2: {precision: auto, optimizer: conjugate_gradient}}"
    store = knowing(tmp_path, 2.0)
    plan = planned(store, f"pretrain.method={method}", "pretrain.precision=auto", f"pretrain.per_layer={own}")
    assert decided(plan) == {"pretrain.precision": "bfloat16", "pretrain.per_layer.2.precision": "float32"}
    learnt = [plan[f"pretrain/{number}"].stage.config.precision for number in (1, 2)]  # type: ignore[attr-defined]
    assert learnt == ["bfloat16", "float32"]


@pytest.mark.parametrize("changed", ["torch", "processor"])
def test_another_processor_or_torch_is_measured_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, changed: str
) -> None:
    store = knowing(tmp_path, 2.0)
    asked: list[str] = []
    slow = {"device": "cpu", "processor": "Abacus 4", "torch": "10.0", "float32": 1.0, "bfloat16": 2.0}
    monkeypatch.setattr(precision, "_measured", lambda device: asked.append(device) or slow)
    assert decided(planned(store, "train.precision=auto")) == {"train.precision": "bfloat16"}
    assert asked == []
    if changed == "torch":
        monkeypatch.setattr(precision.metadata, "version", lambda name: "10.0")
    else:
        monkeypatch.setattr(precision, "_processor", lambda: "Abacus 4")
    for _ in range(2):  # kept with the first plan, as the store is there
        assert decided(planned(Store(tmp_path), "train.precision=auto")) == {"train.precision": "float32"}
    assert asked == ["cpu"]


def test_a_gpu_is_known_by_what_its_driver_tells(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(precision, "GPUS", tmp_path)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    keys = [(device_key(), memo_key("cuda"), memo_key("cpu"))]
    for model in ("NVIDIA Abacus", "NVIDIA Slide Rule"):
        (tmp_path / "0000:07:00.0").mkdir(exist_ok=True)
        (tmp_path / "0000:07:00.0" / "information").write_text(f"Model: \t\t {model}\nIRQ:   \t\t 42\n")
        keys.append((device_key(), memo_key("cuda"), memo_key("cpu")))
        assert model in keys[-1][0]
        assert model in keys[-1][1]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    keys.append((device_key(), memo_key("cuda"), memo_key("cpu")))
    assert len({device for device, *_ in keys}) == len({gpu for _, gpu, _ in keys}) == 4
    assert len({cpu for *_, cpu in keys}) == 1


def test_a_run_in_a_new_store_keeps_what_was_measured_before_it_computes(tmp_path: Path) -> None:
    plan = planned(Store(tmp_path / "new"), "train.precision=auto")
    assert not (tmp_path / "new").exists()
    Execution(plan, Runtime("cpu"))
    assert Store(tmp_path / "new").memo.get(memo_key("cpu")) == plan.decisions[0].measured


def test_the_measurement_times_both_precisions_and_tells_on_what(tmp_path: Path) -> None:
    threads = torch.get_num_threads()
    measured = precision.measurement(Store(tmp_path / "none"), "cpu")
    assert 0 < measured["bfloat16"] < 10
    assert 0 < measured["float32"] < 10
    assert measured["device"] == "cpu"
    assert measured["processor"]
    assert torch.get_num_threads() == threads
    # Once in a process: its plans agree.
    assert precision.measurement(Store(tmp_path / "other"), "cpu") == measured


def test_a_plan_that_knows_the_measurement_loads_no_torch(tmp_path: Path) -> None:
    knowing(tmp_path / "store", 2.0)
    (tmp_path / "miniature.yaml").write_text(SPEC)
    program = (
        "import sys; from nnpipe import api\n"
        f"plan = api.plan('miniature.yaml', set={AUTO!r}, store='store')\n"
        "print(*plan.decisions, 'torch' in sys.modules, sep='; ')"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=True)
    *told, loaded = done.stdout.strip().split("; ")
    assert [each.split(":")[0] for each in told] == [
        f"{name} -> bfloat16" for name in ("train.precision auto", "pretrain.precision auto")
    ]
    assert loaded == "False"
