from __future__ import annotations

import io
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from nnpipe.plots import AnyPicture, every_picture
from nnpipe.plots.confusion_matrix import ConfusionMatrix
from nnpipe.plots.decision_boundary import DecisionBoundary
from nnpipe.plots.examples import Examples
from nnpipe.plots.fitted_function import FittedFunction
from nnpipe.plots.learning_curves import LearningCurves
from nnpipe.plots.picture import Picture, Rendered, Subject
from nnpipe.plots.predicted_vs_true import PredictedVsTrue
from nnpipe.plots.pretraining_curves import PretrainingCurves
from nnpipe.plots.reliability_diagram import ReliabilityDiagram
from nnpipe.spec import members

APPLIES = {
    "learning_curves": {"images", "colours", "plane", "line", "encoded", "belief", "pooled"},
    "gradient_flow": {"images", "colours", "pooled"},
    "error_surface": {"images", "colours", "plane", "line", "encoded", "belief", "pooled"},
    "confusion_matrix": {"images", "colours", "plane", "belief", "pooled"},
    "confusion_examples": {"images", "colours", "belief", "pooled"},
    "per_class": {"images", "colours", "plane", "belief", "pooled"},
    "roc_curves": {"images", "colours", "plane", "belief", "pooled"},
    "precision_recall_curves": {"images", "colours", "plane", "belief", "pooled"},
    "reliability_diagram": {"images", "colours", "plane", "belief", "pooled"},
    "predicted_vs_true": {"line"},
    "fitted_function": {"line"},
    "decision_boundary": {"plane"},
    "examples": {"images", "colours", "belief", "pooled"},
    "autoencoder_reconstructions": {"encoded"},
    "codes": {"encoded"},
    "activations": {"images", "colours", "encoded", "belief", "pooled"},
    "unit_activity": {"images", "colours", "encoded", "belief", "pooled"},
    "preferred_examples": {"images", "colours", "encoded", "belief", "pooled"},
    "preferred_inputs": {"images", "colours", "belief", "pooled"},
    "attributions": {"images", "colours", "belief", "pooled"},
    "representation_map": {"images", "colours", "belief", "pooled"},
    "filters": {"images", "colours", "encoded", "belief", "pooled"},
    "second_layer_kernels": {"colours"},
    "deep_filters": {"images", "belief"},
    "dense_matrix": {"colours"},
    "pretrained_filters": {"images", "pooled"},
    "filter_film": {"images"},
    "pretraining_curves": {"images", "pooled"},
    "reconstructions": {"images", "pooled"},
    "repairs": {"pooled"},
    "probes": {"encoded"},
    "shift_tolerance": {"pooled"},
    "shift_curves": {"images", "colours", "belief", "pooled"},
    "pretrained_samples": {"images"},
    "dbn_samples": {"belief"},
}
Twice = Callable[[Picture, Subject], list[Rendered]]
EVERY = every_picture()
KINDS = pytest.mark.parametrize("picture", EVERY, ids=lambda picture: picture.kind)


@pytest.fixture
def subjects(
    images: Subject, colours: Subject, plane: Subject, line: Subject, encoded: Subject, belief: Subject, pooled: Subject
) -> dict[str, Subject]:
    named = {"images": images, "colours": colours, "plane": plane, "line": line}
    return {**named, "encoded": encoded, "belief": belief, "pooled": pooled}


@pytest.fixture(scope="module")
def twice() -> Twice:
    """What a picture renders of the first subject that it is asked about, in two threads at once."""
    made: dict[str, list[Rendered]] = {}

    def twice(picture: Picture, subject: Subject) -> list[Rendered]:
        if picture.kind not in made:
            with ThreadPoolExecutor(2) as threads:
                made[picture.kind] = list(threads.map(picture.render, [subject, subject]))
        return made[picture.kind]

    return twice


def applicable(picture: Picture, subjects: dict[str, Subject]) -> Iterator[Subject]:
    return (subject for subject in subjects.values() if picture.applies(subject))


def pixels(png: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(png)).convert("RGB"))


def test_every_picture_of_the_union_is_drawn_by_default() -> None:
    union = tuple(members(AnyPicture))
    assert {type(picture) for picture in EVERY} == set(union)
    assert {picture.kind for picture in EVERY} == set(APPLIES)


@KINDS
def test_a_picture_applies_where_it_has_something_to_show(picture: Picture, subjects: dict[str, Subject]) -> None:
    found = {name for name, subject in subjects.items() if picture.applies(subject)}
    assert found == APPLIES[picture.kind]
    assert picture.needs


@KINDS
def test_a_picture_is_narrow_opaque_and_has_words(picture: Picture, subjects: dict[str, Subject], twice: Twice) -> None:
    first, *others = applicable(picture, subjects)
    for drawing, png, _ in (twice(picture, first)[0], *map(picture.render, others)):
        image = Image.open(io.BytesIO(png))
        assert image.width == 960
        assert 200 < image.height < 1600
        assert pixels(png)[0, 0].tolist() == [255, 255, 255]
        assert "Software" not in image.info
        assert len(drawing.caption) > 80
        assert drawing.title
        assert drawing.alt.endswith(".")


@KINDS
def test_the_same_subject_gives_the_same_bytes_from_any_thread(
    picture: Picture, subjects: dict[str, Subject], twice: Twice
) -> None:
    first, second = twice(picture, next(applicable(picture, subjects)))
    assert (first.png, first.svg) == (second.png, second.svg)


def test_a_persons_own_settings_of_matplotlib_change_nothing(images: Subject) -> None:
    import matplotlib as mpl

    expected = LearningCurves().render(images)[1]
    with mpl.rc_context({"lines.linewidth": 9, "font.size": 30, "axes.facecolor": "black"}):
        assert LearningCurves().render(images)[1] == expected
        assert mpl.rcParams["font.size"] == 30


def test_listing_pictures_imports_nothing_heavy() -> None:
    code = "import sys, nnpipe.plots; print(*{'matplotlib', 'numpy', 'torch', 'PIL'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""


def test_learning_curves_name_the_best_epoch_and_what_was_measured_there(images: Subject) -> None:
    drawing, *_ = LearningCurves().render(images)
    assert "validation accuracy reaches 0.875 at epoch 2 of 3" in drawing.caption
    ringed = [line for line in drawing.figure.axes[1].lines if line.get_label() == "best epoch"]
    assert [line.get_xydata().tolist() for line in ringed] == [[[2.0, 0.875]]]


def test_learning_curves_mark_the_weights_that_are_kept_and_say_why_training_ended(images: Subject) -> None:
    stopped = {**images.history, "stopped": "patience", "best_epoch": 2, "kept_epoch": 1}
    drawing, *_ = LearningCurves().render(replace(images, history=stopped))
    assert "ended then because validation no longer improved. The network has the weights of epoch 1" in drawing.caption
    marks = {line.get_label(): line.get_xydata().tolist() for line in drawing.figure.axes[0].lines}
    assert (marks["best epoch"], marks["kept"]) == ([[2.0, 0.6]], [[1.0, 1.2]])
    plain, *_ = LearningCurves().render(replace(images, history={**images.history, "kept_epoch": 3}))
    assert "ended" not in plain.caption
    assert "the square" not in plain.caption


def test_learning_curves_show_a_learning_rate_that_changes_and_no_other(images: Subject) -> None:
    assert len(LearningCurves().render(images)[0].figure.axes) == 2
    records = [{**record, "learning_rate": 0.1 ** record["epoch"]} for record in images.history["records"]]
    drawing, *_ = LearningCurves().render(replace(images, history={**images.history, "records": records}))
    rates = drawing.figure.axes[2]
    assert (rates.get_title(loc="left"), rates.get_yscale()) == ("Learning rate", "log")
    assert rates.lines[0].get_ydata() == pytest.approx([0.1, 0.01, 0.001])


def test_of_many_epochs_some_are_told_and_all_are_drawn(images: Subject) -> None:
    records = [{"epoch": e, "loss": 1 / e, "learning_rate": 0.1} for e in range(1, 2001)]
    drawing, _, svg = LearningCurves().render(replace(images, history={"records": records, "best_epoch": None}))
    assert len(drawing.figure.axes[0].lines[0].get_xydata()) == 2000
    assert svg is not None
    assert svg.count(b"<title>") == 100
    assert b"epoch 1, train: 1<" in svg
    assert b"epoch 2000, train: 0.0005<" in svg


def test_learning_curves_say_test_where_there_is_no_validation_split(images: Subject) -> None:
    drawing, *_ = LearningCurves().render(replace(images, watched="test"))
    assert "test accuracy reaches" in drawing.caption
    assert "validation" not in drawing.caption


def test_learning_curves_of_the_training_examples_alone_are_drawn(images: Subject) -> None:
    records = [{"epoch": 1, "loss": 0.5}]
    drawing, *_ = LearningCurves().render(replace(images, history={"records": records, "best_epoch": None}))
    assert "training loss reaches 0.5 at epoch 1 of 1." in drawing.caption
    assert len(drawing.figure.axes) == 1


def test_pretraining_curves_tell_each_layers_first_and_last_measure(images: Subject) -> None:
    drawing, *_ = PretrainingCurves().render(images)
    assert "Layer 1: reconstruction error from 4 to 1 in 3 epochs." in drawing.caption
    assert [axes.get_title(loc="left") for axes in drawing.figure.axes] == ["Reconstruction error"]


def test_pretraining_curves_of_a_mixed_stack_have_a_panel_for_every_measure(images: Subject) -> None:
    (first,) = images.pretrained
    history = [{"epoch": e, "loss": 2.0 / e, "accuracy": e / 2, "val_accuracy": 0.5} for e in (1, 2)]
    second = replace(first, history=history, summary={"method": "supervised", "labels": True})
    drawing, *_ = PretrainingCurves().render(replace(images, pretrained=(first, second)))
    titles = [axes.get_title(loc="left") for axes in drawing.figure.axes]
    assert titles == ["Reconstruction error", "Loss", "Accuracy"]
    assert "Layer 2: loss from 2 to 1 and accuracy from 0.5 to 1 in 2 epochs." in drawing.caption
    assert "without labels" not in drawing.caption
    assert "without labels" in PretrainingCurves().render(images)[0].caption


def test_pretraining_curves_show_what_is_measured_on_unseen_examples_alone(images: Subject) -> None:
    (first,) = images.pretrained
    history = [{**record, "val_free_energy_gap": 0.5 * record["epoch"]} for record in first.history]
    drawing, *_ = PretrainingCurves().render(replace(images, pretrained=(replace(first, history=history),)))
    error, gap = drawing.figure.axes
    assert gap.get_title(loc="left") == "Free energy gap"
    dotted = [line for line in gap.lines if line.get_linestyle() != "None" and len(line.get_xdata())]
    assert [(line.get_linestyle(), line.get_ydata().tolist()) for line in dotted] == [(":", [0.5, 1.0, 2.0])]
    assert len(error.lines[0].get_xdata()) == 3


def test_the_confusion_matrix_names_the_commonest_mistake(images: Subject) -> None:
    counts = [[5, 0, 1], [0, 6, 0], [0, 3, 4]]
    drawing, _, svg = ConfusionMatrix().render(replace(images, evaluation={"confusion_matrix": counts}))
    assert svg is not None
    assert "15 of 19 test examples (78.9%)" in drawing.caption
    assert "class-2 taken for class-1 (3), class-0 taken for class-2 (1)." in drawing.caption
    assert sorted(text.get_text() for text in drawing.figure.axes[0].texts) == ["1", "3", "4", "5", "6"]
    shares = drawing.figure.axes[0].collections[0].get_array()
    assert shares[2].filled(0).tolist() == pytest.approx([0, 3 / 7, 4 / 7])
    assert b"<title>said class-1, is class-2: 3 examples, 42.9% of class-2</title>" in svg
    assert b"<title>said class-1, is so: 6 examples, 100.0% of class-1</title>" in svg


def test_a_confusion_matrix_of_many_classes_shows_colours_without_numbers(images: Subject) -> None:
    attributes = {**images.attributes, "class_names": [f"kind {number}" for number in range(50)]}
    many = replace(images, attributes=attributes, evaluation={"confusion_matrix": np.eye(50, dtype=int).tolist()})
    drawing, *_ = ConfusionMatrix().render(many)
    assert not drawing.figure.axes[0].texts
    assert "There is no mistake." in drawing.caption


def test_the_decision_boundary_lies_where_the_network_is_undecided(plane: Subject) -> None:
    drawing, png, _ = DecisionBoundary().render(plane)
    assert "0 of 40 test points" in drawing.caption
    axes = drawing.figure.axes[0]
    corner = axes.transData.transform([(-0.9, 0), (0.9, 0)])
    line = next(item for item in axes.collections if list(getattr(item, "levels", [])) == [0.5])
    assert np.abs(line.get_paths()[0].vertices[:, 0]).max() < 1e-6
    image = pixels(png)
    left, right = (image[image.shape[0] - int(y), int(x)].astype(int) for x, y in corner)
    assert left[2] > left[0] + 60, "blue where the first class is sure"
    assert right[0] > right[2] + 60, "red where the second class is sure"


def test_a_boundary_out_of_view_is_said_to_be_so(plane: Subject) -> None:
    tensors = {**plane.tensors, "layers.0.bias": np.full(1, 50, np.float32)}
    drawing, *_ = DecisionBoundary().render(replace(plane, tensors=tensors))
    assert "nowhere in view does it cross one half" in drawing.caption
    assert "100% of the plane" in drawing.caption


def test_examples_show_the_most_confident_mistake_first(images: Subject) -> None:
    probabilities = np.full((12, 3), 0.1, np.float32)
    probabilities[np.arange(12), images.truth] = 0.8
    probabilities[4], probabilities[9] = (0.1, 0.3, 0.6), (0.05, 0.95, 0.0)
    labels = images.truth.copy()
    labels[4], labels[9] = 0, 0
    drawing, *_ = Examples(count=2).render(replace(images, predictions=probabilities, truth=labels))
    shown = [[text.get_text() for text in axes.texts] for axes in drawing.figure.axes]
    assert shown == [
        ["class-0  0.80"],
        ["class-1  0.80"],
        ["class-1  0.95", "is class-0  0.05"],
        ["class-2  0.60", "is class-0  0.10"],
    ]
    assert "2 are predicted wrong, 1 of them with a probability above 0.9" in drawing.caption
    assert "test example 9 (counted from 0), class-0 taken for class-1." in drawing.caption


def test_examples_without_any_mistake_show_one_group(images: Subject) -> None:
    drawing, *_ = Examples().render(replace(images, predictions=np.eye(3, dtype=np.float32)[images.truth]))
    assert len(drawing.figure.axes) == 10


def test_a_class_name_that_looks_like_mathematics_is_drawn_as_it_is(images: Subject) -> None:
    attributes = {**images.attributes, "class_names": ["$x_", "a^$", "\\frac"]}
    for picture in (ConfusionMatrix(), Examples()):
        drawing, *_ = picture.render(replace(images, attributes=attributes))
        assert drawing.figure.axes


def test_the_reliability_diagram_sets_what_is_promised_against_what_is_found(images: Subject) -> None:
    bins = [
        {"low": 0.6, "high": 0.8, "examples": 30, "confidence": 0.7, "accuracy": 0.6},
        {"low": 0.8, "high": 1.0, "examples": 10, "confidence": 0.9, "accuracy": 0.9},
        {"low": 0.0, "high": 0.2, "examples": 4, "confidence": 0.1, "accuracy": 0.5},
        {"low": 0.2, "high": 0.4, "examples": 0, "confidence": None, "accuracy": None},
    ]
    evaluation = {"calibration": bins, "test_calibration_error": 0.105}
    drawing, _, svg = ReliabilityDiagram().render(replace(images, evaluation=evaluation))
    dots = {
        entry.get_label(): entry.get_offsets().tolist()
        for entry in drawing.figure.axes[0].collections
        if not entry.get_label().startswith("_")
    }
    assert dots == {"found": [[0.7, 0.6], [0.9, 0.9]], "found, fewer than 10 examples": [[0.1, 0.5]]}
    assert [bar.get_height() for bar in drawing.figure.axes[1].patches] == [30, 10, 4]
    assert [text.get_text() for text in drawing.figure.axes[1].texts] == ["30", "10", "4"]
    assert svg is not None
    assert b"promised 70.0%, right in 60.0% of 30 examples with a probability from 0.60 to 0.80" in svg
    assert "promises 69.1% and is right in 65.9%: on the whole it is too sure" in drawing.caption
    assert "in 3 of 4 bins" in drawing.alt


def test_the_fitted_function_is_the_networks_answer_in_the_units_of_the_data(line: Subject) -> None:
    drawing, *_ = FittedFunction().render(line)
    assert [axes.get_ylabel() for axes in drawing.figure.axes] == ["threefold", "once"]
    curve = drawing.figure.axes[0].lines[0].get_xydata()
    np.testing.assert_allclose(curve[:, 1], 3 * curve[:, 0] + 10, rtol=1e-5)
    assert (curve[0, 0], curve[-1, 0]) == pytest.approx((line.inputs.min(), line.inputs.max()))


def test_predicted_values_stand_above_the_true_ones(line: Subject) -> None:
    drawing, *_ = PredictedVsTrue().render(line)
    points = drawing.figure.axes[1].collections[0].get_offsets()
    np.testing.assert_allclose(points, np.stack([line.truth[:, 1], line.predictions[:, 1]], 1))
    assert drawing.figure.axes[0].get_xlim() == drawing.figure.axes[0].get_ylim()
    assert "75.0% of the variance of threefold, 75.0% of the variance of once" in drawing.caption


def test_learning_curves_of_numbers_are_judged_by_the_loss(line: Subject) -> None:
    drawing, *_ = LearningCurves().render(line)
    assert [axes.get_title(loc="left") for axes in drawing.figure.axes] == ["Loss", "Mean absolute error"]
    assert "validation loss reaches 0.4 at epoch 3 of 3" in drawing.caption


def test_margins_are_not_called_probabilities(images: Subject, plane: Subject) -> None:
    margins = {**images.evaluation, "scores": "margins"}
    drawing, *_ = Examples().render(replace(images, evaluation=margins))
    assert "probability" not in drawing.caption
    assert not DecisionBoundary().applies(replace(plane, evaluation=margins))
