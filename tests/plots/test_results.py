"""Pictures of what the network gets right and wrong, against numbers that are counted or worked out another way."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
from scipy.stats import binomtest
from sklearn.metrics import average_precision_score

from nnpipe.plots.confusion_examples import ConfusionExamples
from nnpipe.plots.per_class import PerClass, by_class, wilson
from nnpipe.plots.picture import Picture, Subject
from nnpipe.plots.precision_recall_curves import PrecisionRecallCurves, mean_precision, precision_recall_curves
from nnpipe.plots.roc_curves import RocCurves, mean_roc, roc_curves

from .conftest import dense, make_subject

TITLE = "{http://www.w3.org/2000/svg}title"


def judged(truth: list[int], scores: list[list[float]], classes: int = 2, **evaluation: Any) -> Subject:
    """A subject of which only what the network says of the test examples is interesting."""
    made = make_subject((3,), [dense(classes, 3)], classes)
    labels, said = np.array(truth), np.array(scores, np.float32)
    inputs = np.zeros((len(labels), 3), np.float32)
    return replace(made, truth=labels, predictions=said, inputs=inputs, evaluation={**made.evaluation, **evaluation})


def noisy(classes: int, examples: int, noise: float, seed: int = 0, digits: int | None = None) -> Subject:
    """Scores of 1 for the right class and 0 for others, and noise; rounded, many are equal."""
    rng = np.random.default_rng(seed)
    truth = np.arange(examples) % classes
    scores = np.eye(classes)[truth] + noise * rng.standard_normal((examples, classes))
    return judged(truth.tolist(), (scores if digits is None else scores.round(digits)).tolist(), classes)


# Two of four are of the second class; their scores are the highest and the third.
FOUR = judged([0, 0, 1, 1], [[0.9, 0.1], [0.6, 0.4], [0.65, 0.35], [0.2, 0.8]])


def test_a_roc_curve_worked_by_hand() -> None:
    (curve,) = roc_curves(FOUR)
    assert curve.name == "class-1"
    assert [*zip(curve.x, curve.y, strict=True)] == [(0, 0), (0, 0.5), (0.5, 0.5), (0.5, 1), (1, 1)]
    assert curve.area == 0.75


def test_precision_and_recall_worked_by_hand() -> None:
    (curve,) = precision_recall_curves(FOUR)
    steps = {(round(float(x), 3), round(float(y), 3)) for x, y in zip(curve.x, curve.y, strict=True)}
    assert {(0, 1), (0.5, 1), (1, 0.667)} <= steps
    assert curve.area == pytest.approx(0.5 * 1 + 0.5 * 2 / 3)


@pytest.mark.parametrize("digits", [None, 1])
def test_the_area_below_a_roc_curve_is_the_share_of_pairs_in_the_right_order(digits: int | None) -> None:
    subject = noisy(4, 60, 0.5, digits=digits)
    for label, curve in enumerate(roc_curves(subject)):
        scores = subject.predictions[:, label]
        ours, others = scores[subject.truth == label], scores[subject.truth != label]
        pairs = (ours[:, None] > others).mean() + (ours[:, None] == others).mean() / 2
        assert curve.area == pytest.approx(pairs)


@pytest.mark.parametrize("digits", [None, 1])
def test_below_the_mean_curves_lies_the_mean_area(digits: int | None) -> None:
    subject = noisy(5, 70, 0.5, digits=digits)
    roc = mean_roc(roc_curves(subject))
    assert np.trapezoid(roc.y, roc.x) == pytest.approx(roc.area, abs=1e-9)
    mean = mean_precision(precision_recall_curves(subject))
    assert (np.diff(mean.x) * mean.y[1:]).sum() == pytest.approx(mean.area, abs=1e-9)
    onehot = np.eye(5)[subject.truth]
    assert mean.area == pytest.approx(average_precision_score(onehot, subject.predictions, average="macro"))


@pytest.mark.parametrize(("picture", "what"), [(RocCurves(), "area"), (PrecisionRecallCurves(), "average precision")])
def test_of_many_classes_the_worst_have_colours_and_the_others_are_pale(picture: Picture, what: str) -> None:
    subject = noisy(100, 400, 0.4)
    drawing, _, svg = picture.render(subject)
    areas = {curve.name: curve.area for curve in (roc_curves if what == "area" else precision_recall_curves)(subject)}
    worst = sorted(areas, key=lambda name: areas[name])[:5]
    labels = [text.get_text() for text in drawing.figure.legends[0].get_texts()]
    assert labels[0].startswith("mean of 100: ")
    assert [label.rpartition(":")[0] for label in labels[1:6]] == worst
    assert labels[6].startswith("95 others: ")
    assert f"mean {what} of 100 classes is {np.mean([*areas.values()]):.4f}" in drawing.caption
    assert svg is not None
    told = [title.text or "" for title in ElementTree.fromstring(svg).iter(TITLE)]
    assert 0 < len(told) <= 300
    assert all(text.startswith(tuple(f"{name} from probability " for name in worst)) for text in told)


def test_of_two_classes_there_is_one_curve_and_a_class_that_never_occurs_has_none() -> None:
    labels = [text.get_text() for text in RocCurves().render(FOUR)[0].figure.legends[0].get_texts()]
    assert labels == ["class-1: 0.7500"]
    three = judged([0, 0, 1, 1], [[0.9, 0.1, 0.0], [0.6, 0.4, 0.0], [0.65, 0.35, 0.0], [0.2, 0.8, 0.0]], 3)
    assert [curve.name for curve in roc_curves(three)] == ["class-0", "class-1"]


@pytest.mark.parametrize("picture", [RocCurves(), PrecisionRecallCurves()])
def test_test_examples_of_one_class_have_no_curves(picture: Picture) -> None:
    assert picture.applies(FOUR)
    assert not picture.applies(replace(FOUR, truth=np.ones(4, np.int64)))
    assert not picture.applies(replace(FOUR, truth=FOUR.truth[:0]))


@pytest.mark.parametrize("picture", [RocCurves(), PrecisionRecallCurves()])
def test_margins_are_scores_like_others(picture: Picture) -> None:
    margins = replace(FOUR, predictions=20 * FOUR.predictions - 10, evaluation={"scores": "margins"})
    assert "probability" not in picture.render(margins)[0].caption
    assert "margin" in picture.render(margins)[0].caption


def test_curves_that_hug_the_corner_are_drawn_larger_there_and_others_are_not() -> None:
    near, far = noisy(3, 3000, 0.3), noisy(3, 300, 1.0)
    axes = RocCurves().render(near)[0].figure.axes[0]
    assert axes.get_xscale() == "log"
    assert axes.get_xlim()[0] == pytest.approx(1 / 2000 / 2)
    for line, curve in zip(axes.lines[1:4], roc_curves(near), strict=True):
        assert line.get_ydata()[0] == curve.y[curve.x == 0].max()
        assert axes.get_ylim()[0] <= line.get_ydata()[0]
    assert PrecisionRecallCurves().render(near)[0].figure.axes[0].get_xlim()[0] > 0
    for picture in (RocCurves(), PrecisionRecallCurves()):
        axes = picture.render(far)[0].figure.axes[0]
        assert (axes.get_xlim(), axes.get_ylim(), axes.get_xscale()) == ((0, 1), (0, 1), "linear")


def test_a_network_without_a_mistake_has_curves_in_the_whole_square() -> None:
    for picture in (RocCurves(), PrecisionRecallCurves()):
        drawing, *_ = picture.render(noisy(3, 30, 0.0))
        assert drawing.figure.axes[0].get_xlim() == (0, 1)
        assert "1.0000" in drawing.caption


@pytest.mark.parametrize(("part", "whole"), [(0, 7), (7, 7), (3, 7), (199, 200), (1, 1)])
def test_intervals_of_shares_are_those_of_scipy(part: int, whole: int) -> None:
    share = wilson(part, whole)
    assert share is not None
    expected = binomtest(part, whole).proportion_ci(method="wilson")
    assert (share.low, share.high) == pytest.approx((expected.low, expected.high), abs=1e-7)


def test_results_by_class_begin_with_the_weakest_and_leave_out_what_is_not_there() -> None:
    # The third class is never predicted, the fourth is neither there nor predicted.
    counts = [[8, 2, 0, 0], [0, 10, 0, 0], [1, 3, 0, 0], [0, 0, 0, 0]]
    subject = judged([0], [[1, 0, 0, 0]], 4, confusion_matrix=counts)
    found = by_class(subject)
    assert [(one.name, one.f1) for one in found] == [
        ("class-2", 0.0),
        ("class-1", pytest.approx(20 / 25)),
        ("class-0", pytest.approx(16 / 19)),
    ]
    assert found[0].precision is None
    drawing, _, svg = PerClass().render(subject)
    recall, precision = (drawing.figure.axes[0].collections[index].get_offsets() for index in (1, 3))
    np.testing.assert_allclose(recall[:, 0], [0, 1, 0.8])
    np.testing.assert_allclose(precision[:, 0], [10 / 15, 8 / 9])
    assert "The least recall has class-2: 0.0% (0 of 4, interval 0.0% to 49.0%)." in drawing.caption
    assert svg is not None
    assert b"<title>class-1: precision 66.7% (10 of 15, interval 41.7% to 84.8%)</title>" in svg


def test_of_many_classes_the_weakest_are_shown() -> None:
    counts = 9 * np.eye(30, dtype=int)
    counts[7, 8] = 3
    drawing, *_ = PerClass(classes=3).render(judged([0], [[1] + [0] * 29], 30, confusion_matrix=counts.tolist()))
    shown = [label.get_text() for label in drawing.figure.axes[0].get_yticklabels()]
    assert shown == ["class-7", "class-8", "class-0"]
    assert "the 3 weakest of 30 classes" in drawing.caption


@pytest.fixture
def marked() -> Subject:
    """Six images of 2 by 3 pixels, each with a value of its own, of two classes; one of each class is taken wrong."""
    made = make_subject((1, 2, 3), [dense(2, 6)], 2)
    inputs = np.repeat(np.arange(6, dtype=np.uint8) * 40, 6).reshape(6, 1, 2, 3)
    second = np.array([0.1, 0.3, 0.9, 0.8, 0.95, 0.4], np.float32)
    scores = np.stack([1 - second, second], 1)
    return replace(made, inputs=inputs, truth=np.array([0, 0, 0, 1, 1, 1]), predictions=scores)


def test_each_cell_shows_its_surest_examples_where_it_stands(marked: Subject) -> None:
    drawing, *_ = ConfusionExamples(examples=1).render(marked)
    axes = drawing.figure.axes[0]
    height = axes.get_ylim()[0] / 2  # of a cell
    shown = {}
    for image in axes.images:
        left, right, bottom, top = image.get_extent()
        cell = (int(top // height), int(left))
        assert (int(bottom // height), int(right)) == cell, "no image reaches into another cell"
        assert (bottom - top) / (right - left) == pytest.approx(2 / 3), "pixels are square"
        shown[cell] = round(float(image.get_array()[0, 0]) * 255 / 40)
    assert shown == {(0, 0): 0, (0, 1): 2, (1, 0): 5, (1, 1): 4}
    counts = {(int(text.get_position()[1] // height), int(text.get_position()[0])): text for text in axes.texts}
    assert {cell: text.get_text() for cell, text in counts.items()} == {
        (0, 0): "2", (0, 1): "1", (1, 0): "1", (1, 1): "2"
    }  # fmt: skip
    assert "2 of 6 test examples are taken for another class, in 2 of 2 possible ways" in drawing.caption
    assert "the commonest is class-0 taken for class-1 (1)" in drawing.caption


def test_a_large_cell_shows_more_than_one_example_and_an_only_one_is_large(marked: Subject) -> None:
    axes = ConfusionExamples().render(marked)[0].figure.axes[0]
    assert len(axes.images) == 6
    widths = sorted({round(image.get_extent()[1] - image.get_extent()[0], 3) for image in axes.images})
    assert len(widths) == 2
    assert widths[1] > 1.9 * widths[0]


def test_images_are_put_into_cells_for_few_classes_only(marked: Subject) -> None:
    attributes = {**marked.attributes, "class_names": [f"kind {number}" for number in range(13)]}
    assert not ConfusionExamples().applies(replace(marked, attributes=attributes))


@pytest.mark.parametrize("make", [RocCurves, PrecisionRecallCurves, PerClass])
def test_names_of_classes_can_be_anything(make: Callable[[], Picture]) -> None:
    names = ["$x_", '<b>"&', "a name that is much longer than a line of a legend can hold, by far"]
    subject = noisy(3, 60, 0.5)
    _, _, svg = make().render(replace(subject, attributes={**subject.attributes, "class_names": names}))
    assert svg is not None
    told = " ".join(title.text or "" for title in ElementTree.fromstring(svg).iter(TITLE))
    assert all(name in told for name in names)
