"""Runs whose network becomes champion, or not, and why; a champion measured on other examples is asked about these."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nnpipe.errors import SpecError
from nnpipe.evaluation.bootstrap import intervals
from nnpipe.evaluation.promote import Promote
from nnpipe.pipeline import promotion, verdict
from nnpipe.pipeline.execute import Execution
from nnpipe.pipeline.local import run_local
from nnpipe.pipeline.plan import Plan, make_plan
from nnpipe.pipeline.run import Run
from nnpipe.pipeline.runtime import Runtime
from nnpipe.pipeline.spec import Spec, check_spec
from nnpipe.pipeline.trained import stored_model
from nnpipe.spec.document import Document
from nnpipe.store.champions import Champions
from nnpipe.store.store import Store

GATED = """\
version: 1
name: gated
data: {source: digits}
model: {layers: [{kind: dense, units: 10, activation: softmax}]}
train: {optimizer: {kind: adam, learning_rate: 0.01}, epochs: 1, batch_size: 100}
promote: {}
"""
LONGER = "train.epochs=4"


def gated(*overrides: str, text: str = GATED, root: Path = Path()) -> Spec:
    return check_spec(Document.parse(text, "gated.yaml"), overrides, root)


def plan(store: Store, *overrides: str, until: str | None = "evaluate", **spec: Any) -> Plan:
    return make_plan(gated(*overrides, **spec), store, spec.get("root", Path()), until=until)


def run(store: Store, *overrides: str, **options: Any) -> Run:
    return run_local(Execution(plan(store, *overrides, **options), Runtime(device="cpu", threads=1)))


def criteria(run: Run) -> dict[str, Any]:
    return {each["name"]: each for each in run.promotion["criteria"]}


@pytest.fixture(scope="module", autouse=True)
def few_resamples() -> Iterator[None]:
    """What the intervals of a run are is another test's matter."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(intervals, "__defaults__", (50,))
        yield


@pytest.fixture(scope="module")
def begun(few_resamples: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with a champion that learnt for one epoch."""
    root = tmp_path_factory.mktemp("begun") / "artifacts"
    run(Store(root))
    return root


@pytest.fixture
def store(begun: Path, tmp_path: Path) -> Store:
    shutil.copytree(begun, tmp_path / "artifacts")
    return Store(tmp_path / "artifacts")


# -- runs ----------------------------------------------------------------------------------------------------


def test_the_first_network_is_champion_if_it_keeps_the_limits(tmp_path: Path) -> None:
    store = Store(tmp_path / "artifacts")
    limits = "promote={required: %s, latency_ms: 1000, size_mb: 1}"
    refused = run(store, limits % 0.99)
    assert refused.promotion["promoted"] is False
    assert refused.promotion["champion"] is None
    assert [each["passed"] for each in refused.promotion["criteria"]] == [False, True, True]
    assert refused.promotion["reasons"] == [criteria(refused)["required"]["reason"]]
    assert "gated/champion" not in store.refs
    small = run(store, "promote={size_mb: 0.001}")
    assert small.promotion["reasons"][0].endswith(" MB, at most 0.001 MB wanted")
    accepted = run(store, limits % 0.3)
    assert accepted.promotion["promoted"] is True
    assert accepted.promotion["reasons"][0] == "there was no champion"
    assert store.refs["gated/champion"] == accepted.artifact("finetune").id


def test_size_and_latency_are_those_of_the_network(store: Store) -> None:
    found = criteria(run(store, "promote={latency_ms: 1000, size_mb: 1}", LONGER))
    size = (store.directory(store.refs["gated/latest"]) / "model.safetensors").stat().st_size
    assert found["size_mb"]["figures"]["value"] == size / 1e6
    assert 0 < found["latency_ms"]["figures"]["value"] < 1000
    assert found["latency_ms"]["figures"]["calls"] >= 20


def test_a_better_network_takes_the_champions_place_and_the_record_tells_why(store: Store) -> None:
    before = store.refs["gated/champion"]
    done = run(store, LONGER)
    assert done.promotion["promoted"]
    assert store.refs["gated/champion"] == done.artifact("finetune").id == done.promotion["champion"]
    better = criteria(done)["better"]
    assert better["figures"]["candidate"] == done.metrics["test_accuracy"]
    assert better["figures"]["interval"][0] > 0
    assert better["figures"]["champion_measured"] == "before"
    assert done.promotion["drift"] == {"found": False, "sentence": "the training data are the champion's"}
    kept = store.runs.get(done.run)
    assert kept["promotion"] == done.promotion == done.to_json()["promotion"]
    last = Champions(store).history("gated")[-1]
    assert (last.before, last.to, last.run) == (before, done.promotion["champion"], done.run)
    assert last.reason == better["reason"]
    assert last.verdict["criteria"] == done.promotion["criteria"]


def test_a_worse_network_leaves_the_champion_and_says_why(store: Store) -> None:
    before = store.refs["gated/champion"]
    done = run(store, "train.optimizer.learning_rate=0.0001")
    assert done.status == "done"
    assert done.promotion["promoted"] is False
    assert done.promotion["champion"] == before == store.refs["gated/champion"]
    assert "worse by" in done.promotion["reasons"][0]
    assert store.refs["gated/latest"] == done.artifact("finetune").id != before
    assert len(Champions(store).history("gated")) == 1


def test_what_is_the_champion_stays_it(store: Store) -> None:
    done = run(store)
    assert [stage.status for stage in done.stages] == ["reused"] * 3
    assert done.promotion["reasons"] == ["it is the champion already"]
    assert done.promotion["promoted"] is False


def test_promote_and_hooks_are_in_no_key(begun: Path, tmp_path: Path) -> None:
    store = Store(tmp_path / "artifacts")
    whole = {"until": None}
    run(store, "promote=null", "visualize=[]", **whole)
    assert plan(store, "promote={by: 0.01}", "hooks.success=[{command: 'true'}]", "visualize=[]", **whole).nothing_to_do


def test_a_run_that_ends_before_it_is_measured_promotes_nobody(store: Store) -> None:
    done = run(store, LONGER, until="finetune")
    assert done.promotion["reasons"] == ["the gate could not be asked: the run ended before evaluate"]
    assert done.promotion["champion"] == store.refs["gated/champion"]


def test_a_spec_without_a_gate_has_no_promotion(tmp_path: Path) -> None:
    assert run(Store(tmp_path / "artifacts"), "promote=null").promotion is None
    assert not (tmp_path / "artifacts" / "moves").exists()


def test_a_member_of_a_sweep_promotes_nobody(store: Store) -> None:
    done = run_local(Execution(plan(store, LONGER), Runtime(device="cpu"), latest=False))
    assert done.promotion is None
    assert len(Champions(store).history("gated")) == 1


def test_a_champion_that_is_damaged_stays_and_is_told(store: Store) -> None:
    model = store.directory(store.refs["gated/champion"]) / "model.safetensors"
    model.write_bytes(model.read_bytes()[:-1] + b"x")
    done = run(store, LONGER)
    assert done.promotion["promoted"] is False
    assert "its artifact is gone or damaged" in done.promotion["reasons"][0]


def test_a_history_that_cannot_be_read_promotes_nobody_and_ends_no_run(store: Store) -> None:
    (move,) = (store.root / "moves" / "gated").iterdir()
    move.write_text("{")
    done = run(store, LONGER)
    assert done.status == "done"
    assert done.promotion["reasons"] == ["the gate could not be asked: not the JSON that was written"]


# -- other examples ------------------------------------------------------------------------------------------


def accuracy_by_hand(store: Store, ref: str, data: Any) -> float:
    """Of the network called ``ref``, asked as anybody may ask it."""
    with closing(data.arrays("data")) as file:
        examples, truth = (file.rows(name, 0, file.shape(name)[0]) for name in ("X_test", "y_test"))
    model = stored_model(store, ref)
    return float((model.classify(model.predict(examples)) == truth).mean())


def test_a_champion_that_was_measured_on_other_examples_is_asked_about_these(store: Store) -> None:
    run(store, "train.epochs=2", "promote.by=0")
    champion = store.refs["gated/champion"]
    done = run(store, "data.seed=5", LONGER)
    figures = criteria(done)["better"]["figures"]
    assert figures["champion_measured"] == "now"
    assert figures["champion"] == accuracy_by_hand(store, champion, done.artifact("ingest"))
    assert done.promotion["drift"]["found"] is False
    assert done.promotion["drift"]["sentence"] == "the training data are like the champion's"


@pytest.mark.parametrize("metric", ["test_loss", "test_brier_score"])
def test_a_champion_whose_evaluation_is_gone_is_asked_and_says_the_same(store: Store, metric: str) -> None:
    wanted = f"promote={{metric: {metric}, by: 10}}"
    before = criteria(run(store, LONGER, wanted))["better"]
    (evaluation,) = {  # of the champion
        record.artifact
        for record in store.records()
        if record.made["inputs"].get("model") == store.refs["gated/champion"] and record.recipe["stage"] == "evaluate"
    }
    shutil.rmtree(store.directory(evaluation))
    after = criteria(run(store, LONGER, wanted))["better"]
    assert after["figures"]["champion_measured"] == "now"
    measured = "now" if metric == "test_loss" else "before"
    assert before["figures"] | {"champion_measured": measured} == before["figures"]
    for name in ("champion", "candidate", "gain"):
        assert after["figures"][name] == pytest.approx(before["figures"][name], rel=1e-5)


def points(path: Path, classes: int, features: int = 2, shift: float = 0.0) -> None:
    """Clouds of points around corners, one a class."""
    rng = np.random.default_rng(0)
    y = np.arange(60 * classes) % classes
    x = rng.normal(size=(len(y), features)) + shift
    x[:, 0] += 4 * (y == 1)
    x[:, 1] += 4 * (y == 2)
    np.savez(path, X=x.astype(np.float32), y=y)


CLOUDS = """\
version: 1
name: clouds
data: {source: {kind: arrays, path: clouds.npz, images: X, labels: y}, test: 0.3}
model: {layers: [{kind: dense, units: 2, activation: softmax}]}
train: {optimizer: {kind: adam, learning_rate: 0.1}, epochs: 5, batch_size: 20}
promote: {by: 0.1, worst_class: 0.5}
"""


@pytest.fixture
def clouds(tmp_path: Path) -> Callable[..., Run]:
    store = Store(tmp_path / "artifacts")

    def clouds(classes: int, *overrides: str, **data: Any) -> Run:
        points(tmp_path / "clouds.npz", classes, **data)
        units = f"model.layers.0.units={classes}"
        return run(store, units, *overrides, text=CLOUDS, root=tmp_path)

    return clouds


def test_a_champion_that_knows_fewer_classes_gets_the_new_one_wrong(clouds: Callable[..., Run]) -> None:
    clouds(2)
    done = clouds(3)
    figures = criteria(done)["better"]["figures"]
    assert figures["champion"] < 0.7 < figures["candidate"]
    assert done.promotion["promoted"]
    assert "classes are divided otherwise: 2 from 0." in done.promotion["drift"]["sentence"]
    by_loss = clouds(3, "seed=1", "promote.metric=test_log_loss")
    assert by_loss.promotion["promoted"] is False
    assert criteria(by_loss)["better"]["reason"].startswith("log loss ")


def test_what_cannot_be_compared_is_not_better(clouds: Callable[..., Run]) -> None:
    champion = clouds(2).promotion["champion"]
    other_classes = clouds(3, "promote.metric=test_log_loss")
    assert (
        "cannot be compared by test_log_loss: one of them knows other classes" in other_classes.promotion["reasons"][0]
    )
    losses = clouds(3, "promote.metric=test_loss")
    assert "cannot be compared by their loss" in losses.promotion["reasons"][0]
    other_shape = clouds(2, features=3)
    assert "the champion reads examples of another shape" in other_shape.promotion["reasons"][0]
    assert other_shape.promotion["champion"] == champion


def test_drift_of_the_training_data_is_told_with_the_run(clouds: Callable[..., Run]) -> None:
    clouds(2)
    moved = clouds(2, shift=3.0).promotion["drift"]
    assert moved["found"]
    assert moved["sentence"].startswith("values have moved: by +")


# -- numbers, and inputs that are given back -----------------------------------------------------------------

SINE = """\
version: 1
name: sine
data: {source: {kind: function, function: sine, samples: 200}}
model: {layers: [{kind: dense, units: 8, activation: tanh}, {kind: dense, units: 1}]}
train: {loss: mean_squared_error, optimizer: {kind: adam, learning_rate: 0.02}, epochs: 2, batch_size: 16}
promote: {}
"""
DEEP = """\
version: 1
name: deep
data: {source: digits, test: 200}
model: {unroll: true, layers: [{kind: dense, units: 8, activation: sigmoid}, {kind: dense, units: 4}]}
train: {loss: binary_cross_entropy, optimizer: adam, epochs: 1, batch_size: 100}
promote: {}
"""


@pytest.mark.parametrize("metric", ["test_r2", "test_loss"])
def test_numbers_are_compared_by_each_of_their_measures(tmp_path: Path, metric: str) -> None:
    store = Store(tmp_path / "artifacts")
    first = run(store, text=SINE)
    done = run(store, "train.epochs=20", f"promote.metric={metric}", text=SINE)
    figures = criteria(done)["better"]["figures"]
    assert figures["champion"] == pytest.approx(first.metrics[metric], rel=1e-5)
    assert figures["candidate"] == pytest.approx(done.metrics[metric], rel=1e-5)
    assert done.promotion["promoted"]


@pytest.mark.parametrize("metric", ["test_squared_error", "test_loss"])
def test_autoencoders_are_compared_by_what_they_give_back(tmp_path: Path, metric: str) -> None:
    store = Store(tmp_path / "artifacts")
    first = run(store, text=DEEP)
    done = run(store, "train.epochs=4", f"promote.metric={metric}", text=DEEP)
    figures = criteria(done)["better"]["figures"]
    assert figures["champion"] == pytest.approx(first.metrics[metric], rel=1e-5)
    assert figures["candidate"] == pytest.approx(done.metrics[metric], rel=1e-5)
    assert done.promotion["promoted"]
    other_scale = run(store, "train.loss=mean_squared_error", "data.scaling=none", "model.unroll={output: linear}",
                      f"promote.metric={metric}", text=DEEP)  # fmt: skip
    reason = criteria(other_scale)["better"]["reason"]
    if metric == "test_loss":
        assert "found: another scale" in reason
    else:
        # In the candidate's scale, where nothing was divided by 16: 256 times as much.
        champion = criteria(other_scale)["better"]["figures"]["champion"]
        assert champion == pytest.approx(256 * done.metrics[metric], rel=1e-4)


# -- two at once ---------------------------------------------------------------------------------------------


def test_of_two_runs_that_end_at_once_the_second_is_judged_beside_the_first(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While the better network is judged beside the old champion, one that is better still takes its place."""
    best = run(store, "train.epochs=12", "promote=null").artifact("finetune").id
    judged: list[str | None] = []

    def judge(store: Store, candidate: verdict.Candidate, champion: str | None, device: Any) -> verdict.Verdict:
        judged.append(champion)
        if len(judged) == 1:
            promotion.force(store, best, "gated", "by the other run")
        return verdict.judge(store, candidate, champion, device)

    monkeypatch.setattr(promotion, "judge", judge)
    before = store.refs["gated/champion"]
    done = run(store, LONGER)
    assert judged == [before, best]
    assert done.promotion["promoted"] is False
    assert done.promotion["champion"] == best == store.refs["gated/champion"]
    assert [move.kind for move in Champions(store).history("gated")] == ["promotion", "forced"]


# -- a start from the champion -------------------------------------------------------------------------------

OWN = "train.start={from: gated/champion, missing: fresh, layers: 1}"


def test_a_spec_that_starts_from_its_own_champion_can_begin(tmp_path: Path) -> None:
    store = Store(tmp_path / "artifacts")
    planned = plan(store, OWN)
    assert planned.start == {"from": "gated/champion", "artifact": None}
    first = run(store, OWN)
    assert first.promotion["promoted"]
    plain = run(store, "promote=null")
    assert [stage.status for stage in plain.stages] == ["reused"] * 3  # a fresh start is the same as none
    assert plan(store, OWN).start == {"from": "gated/champion", "artifact": first.promotion["champion"]}
    second = run(store, OWN)
    assert second.promotion["promoted"]
    record = store.find(next(stage.key for stage in second.stages if stage.name == "finetune"))
    assert record is not None
    assert record.made["inputs"]["start"] == first.promotion["champion"]
    assert "start" in record.recipe["inputs"]


def test_without_missing_fresh_a_champion_has_to_be_there(tmp_path: Path) -> None:
    with pytest.raises(Exception, match="nothing is called 'gated/champion'"):
        plan(Store(tmp_path / "artifacts"), "train.start={from: gated/champion, layers: 1}")


# -- specs ---------------------------------------------------------------------------------------------------

REFUSED = [
    (["promote.metric=test_acuracy"], "promote.metric: networks are not compared by test_acuracy here"),
    (["promote.metric=test_r2"], "promote.metric: networks are not compared by test_r2 here"),
    (["promote.by=soon"], "promote.by: "),
    (["promote.by=-1"], "promote.by: "),
    (["promote.worst_class=2"], "promote.worst_class: "),
    (["promote.size_mb=0"], "promote.size_mb: "),
    (["promote.metrics=test_loss"], "promote.metrics: unknown key 'metrics'"),
    (["train.start={from: gated, missing: fresh}"], "train.start.missing: only a ref can come to be later"),
]  # fmt: skip


@pytest.mark.parametrize(("overrides", "message"), REFUSED, ids=[message for _, message in REFUSED])
def test_gates_that_cannot_be_meant_are_refused(overrides: list[str], message: str) -> None:
    with pytest.raises(SpecError) as caught:
        gated(*overrides)
    assert message in str(caught.value)


def test_numbers_and_inputs_have_no_worst_class() -> None:
    for text in (SINE, DEEP):
        with pytest.raises(SpecError, match="there are no classes to compare"):
            gated("promote={worst_class: 0.1}", text=text)


def test_true_is_a_gate_with_its_defaults() -> None:
    assert gated("promote=true").promote == gated().promote == Promote()
    assert gated("promote=false").promote is None
    assert gated("promote={metric: test_top_3_accuracy}", "evaluate.top_k=3").promote is not None
