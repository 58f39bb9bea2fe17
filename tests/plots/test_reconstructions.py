from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import scipy.special

from nnpipe.plots.picture import Pretrained, Subject
from nnpipe.plots.reconstructions import Reconstructions, _reconstructions

POOL = {"kind": "max_pool2d", "size": 2}


def layer(spec: Mapping[str, Any], visible: list[int], *between: Any, **tensors: np.ndarray) -> Pretrained:
    document = {"layer": spec, "between": list(between), "visible": visible, "visible_activation": "linear"}
    return Pretrained(tensors, (), {"method": "autoencoder"}, document)


def identity(units: int) -> Pretrained:
    """A linear layer that gives its inputs back."""
    zeros = np.zeros(units)
    return layer({"kind": "dense", "units": units}, [units], weight=np.eye(units), bias=zeros, visible_bias=zeros)


def dense(units: int, visible: int, *between: Any, seed: int = 0, **more: np.ndarray) -> Pretrained:
    draw = np.random.default_rng(seed).standard_normal
    tensors = {"weight": draw((units, visible)), "bias": draw(units), "visible_bias": draw(visible), **more}
    return layer({"kind": "dense", "units": units, "activation": "tanh"}, [visible], *between, **tensors)


def reconstructed(subject: Subject, *layers: Pretrained) -> list[np.ndarray]:
    return _reconstructions(replace(subject, pretrained=layers), subject.inputs.astype(np.float64))


def test_layers_that_lose_nothing_give_the_images_back_in_their_own_units(images: Subject) -> None:
    scaled = replace(images, document={**images.document, "scaling": {"offset": 3.0, "scale": 200.0}})
    for found in reconstructed(scaled, identity(36), identity(36)):
        np.testing.assert_allclose(found, images.inputs, atol=1e-4)


def test_each_layer_decodes_through_all_layers_below(images: Subject) -> None:
    first, second = dense(7, 36), dense(4, 7, seed=1, decoder_weight=np.random.default_rng(9).standard_normal((7, 4)))
    x = images.inputs.reshape(-1, 36).astype(np.float64)
    a, b = first.tensors, second.tensors
    up = np.tanh(x @ a["weight"].T + a["bias"])
    top = np.tanh(up @ b["weight"].T + b["bias"])
    down = top @ b["decoder_weight"].T + b["visible_bias"]
    expected = [values @ a["weight"] + a["visible_bias"] for values in (up, down)]
    for found, values in zip(reconstructed(images, first, second), expected, strict=True):
        np.testing.assert_allclose(found.reshape(-1, 36), values, rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize("activation", ["sigmoid", "softmax"])
def test_layers_that_read_probabilities_give_probabilities(images: Subject, activation: str) -> None:
    first = dense(7, 36)
    read = replace(first, document={**first.document, "visible_activation": activation})
    (plain,), (found,) = reconstructed(images, first), reconstructed(images, read)
    x = plain.reshape(-1, 36)
    expected = 1 / (1 + np.exp(-x)) if activation == "sigmoid" else scipy.special.softmax(x, axis=1)
    np.testing.assert_allclose(found.reshape(-1, 36), expected, rtol=1e-4, atol=1e-5)


def test_what_gaussian_units_of_a_boltzmann_machine_are_given_back_counts_with_their_variance(images: Subject) -> None:
    log_variance = np.random.default_rng(2).standard_normal(36)
    plain, noisy = dense(7, 36), dense(7, 36, log_variance=log_variance)
    (unit,), (found,) = reconstructed(images, plain), reconstructed(images, noisy)
    bias = plain.tensors["visible_bias"].reshape(1, 6, 6)
    expected = bias + np.exp(log_variance).reshape(1, 6, 6) * (unit - bias)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-3)


def test_what_a_pool_gave_is_spread_over_its_window(images: Subject) -> None:
    kernel = {"weight": np.ones((1, 1, 1, 1)), "bias": np.zeros(1), "visible_bias": np.zeros(1)}
    first = layer({"kind": "conv2d", "filters": 1, "kernel": 1}, [1, 6, 6], **kernel)
    above = identity(9)
    pooled = replace(above, document={**above.document, "between": [POOL]})
    found = reconstructed(images, first, pooled)
    np.testing.assert_allclose(found[0], images.inputs)
    largest = images.inputs.reshape(-1, 1, 3, 2, 3, 2).max((3, 5))
    np.testing.assert_allclose(found[1], largest.repeat(2, 2).repeat(2, 3))


@pytest.mark.parametrize("kind", ["global_max_pool2d", "global_average_pool2d"])
def test_a_global_pool_is_spread_over_the_whole_image(images: Subject, kind: str) -> None:
    above = identity(1)
    pooled = replace(above, document={**above.document, "between": [{"kind": kind}]})
    (found,) = reconstructed(images, pooled)
    assert np.ptp(found, axis=(2, 3)).max() < 1e-4


def test_the_picture_ends_below_a_layer_without_a_way_back(images: Subject) -> None:
    first, second = dense(7, 36), dense(4, 7)
    labelled = replace(second, tensors={name: second.tensors[name] for name in ("weight", "bias")})
    behind = dense(4, 7, {"kind": "activation", "activation": "relu"})
    for above in (labelled, behind):
        assert len(reconstructed(images, first, above, identity(4))) == 1
        assert not Reconstructions().applies(replace(images, pretrained=(above, first)))
    assert not Reconstructions().applies(replace(images, pretrained=()))


def test_errors_are_told_layer_by_layer_and_rows_have_names(images: Subject) -> None:
    drawing, *_ = Reconstructions(count=4).render(replace(images, pretrained=(identity(36), dense(7, 36))))
    assert "0.000 from layer 1" in drawing.caption
    assert [text.get_text() for text in drawing.figure.texts] == ["images", "layer 1", "layer 2"]
    assert drawing.alt.startswith("4 test images over 2 rows")


def test_colours_stay_colours(colours: Subject) -> None:
    drawing, *_ = Reconstructions().render(replace(colours, pretrained=(identity(75),)))
    assert drawing.figure.axes[0].images[0].get_array().shape[2] == 3
