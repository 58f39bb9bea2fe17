"""Pictures of what networks generate."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from nnpipe.errors import StageError
from nnpipe.plots.dbn_samples import DbnSamples
from nnpipe.plots.picture import Pretrained, Subject
from nnpipe.plots.pretrained_samples import PretrainedSamples
from nnpipe.plots.samples import tiles_of

FEW = (1, 4)


def texts(subject: Subject, picture: Any) -> list[str]:
    return [text.get_text() for text in picture.draw(subject).figure.texts]


def test_a_row_is_a_class_and_a_column_a_number_of_steps(belief: Subject) -> None:
    drawing = DbnSamples(steps=(1, 1000)).draw(belief)
    assert [text.get_text() for text in drawing.figure.texts] == [*belief.class_names, "1", "1,000", "steps"]
    assert "one class, its label held" in drawing.caption


def test_what_is_held_is_said(belief: Subject) -> None:
    label = DbnSamples(steps=FEW, label=1, rows=4)
    assert "one chain, the label class-1 held" in label.draw(belief).caption
    assert texts(belief, label)[:4] == ["1", "2", "3", "4"]
    both = DbnSamples(steps=FEW, label=1, unit=5).draw(belief).caption
    assert "the label class-1 and hidden unit 5 held" in both
    assert (
        "hidden unit 2 of the last held at 1" in PretrainedSamples(steps=FEW, unit=2).draw(pretrained(belief)).caption
    )


def pretrained(subject: Subject, **changes: Any) -> Subject:
    """Two machines of 36-7 and 7-5 units, one on top of the other."""
    rng = np.random.default_rng(0)
    layers = []
    for hidden, visible in ((7, 36), (5, 7)):
        sizes = {"weight": (hidden, visible), "bias": (hidden,), "visible_bias": (visible,)}
        tensors = {name: rng.standard_normal(size).astype(np.float32) for name, size in sizes.items()}
        document = {"layer": {"kind": "dense", "activation": "sigmoid"}, "between": [], "method": {"kind": "rbm"}}
        layers.append(Pretrained(tensors, [], {"method": "rbm"}, {**document, **changes}))
    return replace(subject, pretrained=tuple(layers))


def test_pretrained_layers_that_are_no_stack_of_binary_machines_are_left_alone(belief: Subject) -> None:
    picture = PretrainedSamples()
    assert picture.applies(pretrained(belief))
    assert picture.applies(pretrained(belief, between=[{"kind": "flatten"}]))
    assert not picture.applies(pretrained(belief, between=[{"kind": "max_pool2d"}]))
    assert not picture.applies(pretrained(belief, layer={"kind": "dense", "activation": "relu"}))
    assert not picture.applies(pretrained(belief, method={"kind": "rbm", "visible": "gaussian"}))
    first, second = pretrained(belief).pretrained
    assert not picture.applies(replace(belief, pretrained=(second,)))
    assert not picture.applies(replace(belief, pretrained=(first, replace(second, summary={"method": "autoencoder"}))))
    assert not picture.applies(belief)


def test_a_label_or_unit_that_there_is_not_is_refused(belief: Subject) -> None:
    for picture, told in (
        (DbnSamples(steps=FEW, label=3), "no label 3"),
        (DbnSamples(steps=FEW, unit=6), "no unit 6"),
        (PretrainedSamples(steps=FEW, unit=5), "no unit 5"),
    ):
        with pytest.raises(StageError, match=told):
            picture.draw(pretrained(belief))


@pytest.mark.parametrize("picture", [DbnSamples, PretrainedSamples])
def test_steps_grow_from_column_to_column(picture: Any) -> None:
    with pytest.raises(ValueError, match="steps that do not grow"):
        picture(steps=(10, 1))


def test_tiles_show_ink_in_black_and_colours_as_they_are() -> None:
    grey, coloured = np.zeros((2, 1, 3, 4)), np.full((1, 3, 2, 2), 2.0)
    grey[0, 0, 1, 2] = 1
    tiles = tiles_of(grey)
    assert tiles.shape == (2, 3, 4)
    assert (tiles[0, 1, 2], tiles[1].min()) == (0, 1)
    assert tiles_of(coloured).shape == (1, 2, 2, 3)
    assert tiles_of(coloured).max() == 1
