"""The images behind a unit are those that it answers to most, and the units shown differ."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from nnpipe.errors import StageError
from nnpipe.plots.picture import Subject
from nnpipe.plots.preferred_examples import PreferredExamples
from nnpipe.plots.units import chosen_layer, some, telling

from .planted import planted, template


def test_the_images_that_fit_a_planted_template_best_stand_behind_its_unit() -> None:
    subject = planted()
    drawing = PreferredExamples(units=[1]).render(subject).drawing
    fits = subject.inputs.reshape(40, -1).astype(float) @ template(1).ravel()
    best = np.argsort(-fits)[:9]
    grid = np.asarray(drawing.figure.axes[0].images[0].get_array())
    step = 36 + 2 + 5
    for place, example in enumerate(best):
        drawn = grid[1:37:6, place * step + 1 : place * step + 37 : 6]
        np.testing.assert_allclose(drawn, 1 - subject.inputs[example, 0] / 255)
    most, least = fits[best[[0, -1]]] / 255 + 5
    assert [text.get_text() for text in drawing.figure.texts] == ["unit 1", f"{most:.3g} to {least:.3g}"]


def test_the_caption_counts_units_that_like_one_class_and_those_that_say_the_same_of_all() -> None:
    subject = planted()
    hidden = subject.inputs.reshape(40, -1).astype(float) @ np.stack([template(0).ravel(), template(1).ravel()]).T
    pure = sum(len(set(subject.truth[np.argsort(-hidden[:, unit])[:9]])) == 1 for unit in (0, 1))
    caption = PreferredExamples().render(subject).drawing.caption
    assert f"Of 4 units {pure} like one class best: all 9 images are of it. 2 say the same of every example." in caption


def test_a_filter_answers_to_an_image_with_the_largest_value_of_its_map(colours: Subject) -> None:
    kernels = np.zeros((6, 3, 3, 3), np.float32)
    kernels[2, 1, 0, 0] = 1.0
    tensors = {**colours.tensors, "layers.0.weight": kernels, "layers.0.bias": np.zeros(6, np.float32)}
    drawing = PreferredExamples(layer=1, units=[2]).render(replace(colours, tensors=tensors)).drawing
    largest = np.sort(colours.inputs[:, 1, :3, :3].max(axis=(1, 2)))[::-1]
    assert drawing.figure.texts[1].get_text() == f"{largest[0]:.3g} to {largest[8]:.3g}"


def test_units_that_say_what_others_have_said_come_last() -> None:
    rng = np.random.default_rng(0)
    first, second, third = rng.standard_normal((3, 50))
    answers = np.stack([0.1 * third, 4 * first, 3.9 * first + 0.01 * third, 2 * second + 7, np.zeros(50)], 1)
    assert telling(answers, 3) == [1, 3, 0]
    assert sorted(telling(answers, 9)) == [0, 1, 2, 3, 4]


def test_an_autoencoders_code_is_the_layer_that_is_asked(encoded: Subject, images: Subject) -> None:
    assert chosen_layer(encoded, "", None) == encoded.code == 0
    assert "a unit of layer 1 (dense, 3, sigmoid)" in PreferredExamples().render(encoded).drawing.caption
    assert chosen_layer(images, "", None) == 0
    assert chosen_layer(images, "", 2) == 1


def test_the_test_examples_looked_at_are_drawn_once_for_all_and_stand_in_order(images: Subject) -> None:
    drawn = some(images, 5)
    assert len(set(drawn)) == 5
    assert drawn.tolist() == sorted(some(images, 5)) != list(range(5))
    assert some(images, 99).tolist() == list(range(12))
    assert "5 test examples drawn from 12" in PreferredExamples(examples=5).render(images).drawing.caption


@pytest.mark.parametrize(
    ("options", "where"), [({"layer": 3}, "layer"), ({"units": [7]}, "units"), ({"layer": 2, "units": [3]}, "units")]
)
def test_a_layer_or_unit_that_is_not_there_is_refused(options: dict[str, object], where: str, images: Subject) -> None:
    with pytest.raises(StageError) as caught:
        PreferredExamples.model_validate(options).render(images)
    assert caught.value.where == f"visualize, preferred_examples.{where}"
