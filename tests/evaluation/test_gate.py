"""The gate against simulations, SciPy's bootstrap and scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats
from sklearn.metrics import accuracy_score, log_loss, recall_score

from nnpipe.errors import DataError
from nnpipe.evaluation.bootstrap import Statistic
from nnpipe.evaluation.gate import better, no_class_worse, reached, within
from nnpipe.evaluation.promote import CLASSES, INPUTS, NUMBERS, SMALLER, Promote
from nnpipe.evaluation.said import UNKNOWN, Said, statistic_of


def mean_of(values: np.ndarray) -> Statistic:
    return lambda counts: np.array([counts @ values / counts.sum()])


def promoted(rng: np.random.Generator, candidate: float, champion: float, cases: int, examples: int) -> float:
    """The share of cases in which a network is promoted that is right with one probability beside another."""
    passed = 0
    for _ in range(cases):
        # Difficult examples are difficult for both.
        ease = rng.normal(size=examples)
        mine, theirs = (
            (ease + rng.normal(size=examples) < np.sqrt(2) * stats.norm.ppf(share)).astype(float)
            for share in (candidate, champion)
        )
        found = better("test_accuracy", mean_of(mine), mean_of(theirs), examples, "interval", resamples=150)
        passed += found.passed
    return passed / cases


def test_of_two_equal_networks_one_is_promoted_in_few_cases() -> None:
    rate = promoted(np.random.default_rng(0), 0.8, 0.8, cases=300, examples=200)
    assert 0 < rate <= 0.05  # the lower end of a two-sided 95 % interval: 2.5 % are expected


def test_a_clearly_better_network_is_promoted_and_a_worse_one_never() -> None:
    rng = np.random.default_rng(1)
    assert promoted(rng, 0.9, 0.8, cases=60, examples=400) >= 0.95
    assert promoted(rng, 0.8, 0.9, cases=60, examples=400) == 0


def test_the_interval_of_the_gain_is_the_paired_one_of_scipy() -> None:
    rng = np.random.default_rng(2)
    theirs = rng.normal(size=80)
    mine = theirs + rng.normal(0.1, 0.2, size=80)
    expected = stats.bootstrap(
        (mine, theirs),
        lambda a, b: a.mean() - b.mean(),
        paired=True,
        vectorized=False,
        n_resamples=300,
        method="percentile",
        rng=np.random.Generator(np.random.PCG64(7)),
    ).confidence_interval
    found = better("test_r2", mean_of(mine), mean_of(theirs), 80, "interval", seed=7, resamples=300)
    assert found.figures["interval"] == pytest.approx([expected.low, expected.high], rel=1e-9)
    # Apart, each varies so much that nothing could be told.
    apart = stats.bootstrap((theirs,), np.mean, n_resamples=300, rng=rng).confidence_interval
    assert expected.high - expected.low < 0.3 * (apart.high - apart.low)


def test_the_same_predictions_are_not_better() -> None:
    values = np.random.default_rng(3).random(50)
    for by in ("interval", 0.0):
        found = better("test_accuracy", mean_of(values), mean_of(values), 50, by, resamples=50)
        assert not found.passed
        assert "the same" in found.reason
        assert found.figures["interval"] == [0, 0]


def test_of_a_loss_less_is_better() -> None:
    low, high = np.full(30, 0.2), np.full(30, 0.3)
    assert better("test_loss", mean_of(low), mean_of(high), 30, "interval", resamples=50).passed
    assert not better("test_loss", mean_of(high), mean_of(low), 30, "interval", resamples=50).passed
    assert better("test_loss", mean_of(low), mean_of(high), 30, 0.09, resamples=50).passed
    worse = better("test_loss", mean_of(low), mean_of(high), 30, 0.11, resamples=50)
    assert not worse.passed
    assert "better by 0.1 " in worse.reason
    assert "wanted: more than 0.11" in worse.reason


def test_a_measure_without_a_value_promotes_nobody() -> None:
    never = mean_of(np.full(10, np.nan))
    assert "has no value" in better("test_r2", mean_of(np.ones(10)), never, 10, "interval", resamples=10).reason


def test_the_class_that_lost_most_recall_decides() -> None:
    rng = np.random.default_rng(4)
    truth = rng.integers(0, 3, 300)
    champion = np.where(rng.random(300) < 0.9, truth, rng.integers(0, 3, 300))
    candidate = np.where((truth == 2) & (rng.random(300) < 0.3), 0, champion)
    lost = recall_score(truth, champion, average=None) - recall_score(truth, candidate, average=None)
    assert lost.argmax() == 2
    found = no_class_worse(truth, candidate, champion, ["a", "b", "c"], float(lost[2]))
    assert found.passed
    assert found.figures["lost"] == pytest.approx(lost[2])
    refused = no_class_worse(truth, candidate, champion, ["a", "b", "c"], lost[2] - 0.01)
    assert not refused.passed
    assert refused.reason.startswith("class c: recall ")


def test_a_class_without_examples_is_not_the_worst() -> None:
    truth = np.array([0, 0, 2])
    found = no_class_worse(truth, truth, truth, ["a", "none", "c"], 0.0)
    assert found.passed
    assert found.figures["class"] != "none"


def test_limits_are_met_at_their_value() -> None:
    assert reached("test_accuracy", 0.9, 0.9).passed
    assert not reached("test_accuracy", 0.89, 0.9).passed
    assert reached("test_loss", 0.1, 0.1).passed
    assert not reached("test_loss", 0.11, 0.1).passed
    assert within("size_mb", "it has", 10, 10, "MB").passed
    assert not within("size_mb", "it has", 10.1, 10, "MB").passed


# -- what networks say ---------------------------------------------------------------------------------------


def classes(names: tuple[str, ...], scores: np.ndarray) -> Said:
    return Said(class_names=names, labels=scores.argmax(1), scores=scores.astype(np.float32))


def value(metric: str, truth: np.ndarray, said: Said) -> float:
    return float(statistic_of(metric, truth, said, top_k=5)(np.ones(len(truth)))[0])


def test_classes_in_another_order_are_the_same_classes() -> None:
    rng = np.random.default_rng(5)
    truth, scores = rng.integers(0, 3, 50), rng.dirichlet(np.ones(3), 50)
    turned = classes(("c", "a", "b"), scores[:, [2, 0, 1]]).among(("a", "b", "c"))
    for metric, expected in (
        ("test_accuracy", accuracy_score(truth, scores.argmax(1))),
        ("test_log_loss", log_loss(truth, scores)),
    ):
        assert value(metric, truth, turned) == pytest.approx(expected, rel=1e-5)


def test_a_class_that_the_champion_does_not_know_is_one_it_gets_wrong() -> None:
    champion = classes(("a", "b"), np.array([[0.9, 0.1], [0.2, 0.8], [0.6, 0.4], [0.3, 0.7]])).among(("b", "new", "a"))
    truth = np.array([2, 0, 1, 1])  # a, b, new, new
    assert value("test_accuracy", truth, champion) == 0.5
    assert value("test_balanced_accuracy", truth, champion) == pytest.approx(2 / 3)
    with pytest.raises(DataError, match="cannot be compared by test_log_loss: one of them knows other classes"):
        statistic_of("test_log_loss", truth, champion, 5)


def test_a_class_that_is_no_more_is_a_wrong_answer() -> None:
    said = classes(("a", "gone", "b"), np.array([[0.1, 0.8, 0.1], [0.0, 0.1, 0.9]])).among(("a", "b"))
    assert said.labels is not None
    assert said.labels.tolist() == [UNKNOWN, 1]
    assert value("test_accuracy", np.array([0, 1]), said) == 0.5


def test_margins_have_no_probabilities_to_compare() -> None:
    margins = Said(class_names=("a", "b"), labels=np.array([1]), scores=np.array([[-2.0, 2.0]]), form="margins")
    for metric in ("test_log_loss", "test_brier_score"):
        with pytest.raises(DataError, match="needs probabilities"):
            statistic_of(metric, np.array([1]), margins, 5)
    assert value("test_accuracy", np.array([1]), margins) == 1


@pytest.mark.parametrize("metric", [m for m in CLASSES if m != "test_loss"])
def test_every_measure_of_classes_compares_a_network_with_itself(metric: str) -> None:
    rng = np.random.default_rng(6)
    truth, scores = rng.integers(0, 3, 60), rng.dirichlet(np.ones(3), 60)
    statistic = statistic_of(metric, truth, classes(("a", "b", "c"), scores), 5)
    found = better(metric, statistic, statistic, 60, "interval", resamples=5)
    assert found.figures["gain"] == 0


def test_which_way_is_better_is_known_of_every_measure() -> None:
    assert {name for name in (*CLASSES, *NUMBERS, *INPUTS) if "loss" in name or "error" in name or "score" in name} == (
        SMALLER
    )


def test_a_spec_without_a_metric_means_the_first_that_is_told() -> None:
    gate = Promote()
    assert gate.metric_of({"test_loss": 1, "test_accuracy": 1}) == "test_accuracy"
    assert gate.metric_of({"test_squared_error": 1, "test_loss": 1}) == "test_squared_error"
    assert gate.metric_of({"test_mean_absolute_error": 1, "test_loss": 1}) == "test_mean_absolute_error"
