"""What denoising layers were given to repair, and what they made of it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from nnpipe.plots.picture import Pretrained, Subject
from nnpipe.plots.repairs import Repairs, _repairs


def denoising(weight: np.ndarray, corruption: str = "masking", level: float = 0.25, **more: Any) -> Pretrained:
    """A linear layer with this weight, whose decoder is its transpose."""
    hidden, visible = weight.shape
    method = {"kind": "autoencoder", "corruption": corruption, "level": level}
    layer = {"kind": "dense", "units": hidden}
    document = {"layer": layer, "between": [], "visible": [visible], "visible_activation": "linear", "method": method}
    tensors = {"weight": weight, "bias": np.zeros(hidden), "visible_bias": np.zeros(visible)}
    return Pretrained(tensors, (), {"method": "autoencoder"}, {**document, **more})


def rotation(size: int) -> np.ndarray:
    return np.linalg.qr(np.random.default_rng(4).standard_normal((size, size)))[0]


@pytest.fixture
def bright(images: Subject) -> Subject:
    """No pixel is zero unless it is set to zero."""
    inputs = np.random.default_rng(0).integers(100, 256, (12, 1, 6, 6)).astype(np.uint8)
    return replace(images, inputs=inputs, document={**images.document, "scaling": {"offset": 0.0, "scale": 255.0}})


def test_the_first_layer_s_images_are_corrupted_as_its_method_does_it(bright: Subject) -> None:
    subject = replace(bright, pretrained=(denoising(np.eye(36)),))
    (found,) = _repairs(subject, subject.inputs.astype(float), 0)
    gone = found.corrupted == 0
    assert 0.2 < gone.mean() < 0.3
    np.testing.assert_allclose(found.corrupted[~gone], bright.inputs[~gone], rtol=1e-5)
    np.testing.assert_allclose(
        found.repaired, found.corrupted, rtol=1e-5
    )  # a layer that gives all back repairs nothing


def test_a_layer_that_knows_the_images_mends_them(bright: Subject) -> None:
    same = replace(bright, inputs=bright.inputs[:1].repeat(12, axis=0))
    direction = same.inputs[0].reshape(1, -1) / np.linalg.norm(same.inputs[0])
    subject = replace(same, pretrained=(denoising(direction),))
    (found,) = _repairs(subject, subject.inputs.astype(float), 0)
    worse, mended = (np.square(each - same.inputs).mean() for each in (found.corrupted, found.repaired))
    assert mended < worse
    ratios = found.repaired.reshape(12, -1) / same.inputs[0].ravel()
    np.testing.assert_allclose(ratios, ratios[:, :1].repeat(36, 1), rtol=1e-4)  # all of the image, only darker


def test_a_layer_above_is_given_corrupted_activations_shown_as_what_they_decode_to(bright: Subject) -> None:
    turned = rotation(36)
    subject = replace(bright, pretrained=(denoising(turned, level=0), denoising(np.eye(36))))
    (found,) = _repairs(subject, subject.inputs.astype(float), 0)
    assert found.number == 2
    activations = found.corrupted.reshape(12, -1) @ turned.T
    clean = bright.inputs.reshape(12, -1).astype(float) @ turned.T
    gone = np.isclose(activations, 0, atol=1e-3) & ~np.isclose(clean, 0, atol=1e-2)
    assert 0.2 < gone.mean() < 0.3
    np.testing.assert_allclose(activations[~gone], clean[~gone], rtol=1e-3, atol=2e-3)


@pytest.mark.parametrize(
    ("corruption", "said"),
    [("masking", "30% of the values set to 0"), ("salt_and_pepper", "set to 0 or 1"), ("gaussian", "deviation 0.3")],
)
def test_words_and_rows_say_what_was_done(bright: Subject, corruption: str, said: str) -> None:
    drawing, *_ = Repairs(count=3).render(replace(bright, pretrained=(denoising(np.eye(36), corruption, 0.3),)))
    assert said in drawing.caption
    assert [text.get_text() for text in drawing.figure.texts] == ["images", "corrupted 1", "repaired 1"]


def test_without_corruption_there_is_nothing_to_repair(bright: Subject) -> None:
    assert not Repairs().applies(replace(bright, pretrained=(denoising(np.eye(36), level=0),)))
    assert not Repairs().applies(replace(bright, pretrained=(denoising(np.eye(36), method={"kind": "rbm"}),)))
    assert Repairs().applies(replace(bright, pretrained=(denoising(np.eye(36)),)))
