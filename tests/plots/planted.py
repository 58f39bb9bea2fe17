"""A network of two layers whose units look for known templates, for tests that want to find them again."""

from __future__ import annotations

from typing import Any

import numpy as np

from nnpipe.plots.picture import Subject

from .conftest import dense, make_subject

SIDE = 6


def template(number: int) -> np.ndarray:
    """Waves over an image, (1, 6, 6), orthogonal and of mean zero: 0 goes from top to bottom, 1 from left to right."""
    wave = np.cos(np.pi * (np.arange(SIDE) + 0.5) / SIDE)
    image = np.repeat(wave[:, None], SIDE, axis=1)
    return (image if number == 0 else image.T)[None].astype(np.float32)


def planted(**changes: Any) -> Subject:
    """40 images of middling grey; units 0 and 1 look for the templates, 2 says 0 of every example, 3 always 1.

    Class 0 goes by three times unit 0, class 1 by three times unit 1. The mean image is grey all over. Predictions are
    the network's own, and right.
    """
    first = np.zeros((4, SIDE * SIDE), np.float32)
    first[0], first[1] = template(0).ravel(), template(1).ravel()
    tensors = {
        "layers.0.weight": first,
        "layers.0.bias": np.array([5, 5, -1, 1], np.float32),
        "layers.1.weight": 3 * np.eye(2, 4, dtype=np.float32),
        "layers.1.bias": np.zeros(2, np.float32),
    }
    half = np.random.default_rng(7).integers(64, 193, (20, 1, SIDE, SIDE))
    inputs = np.concatenate([half, 256 - half]).astype(np.uint8)
    hidden = np.maximum((inputs / 255).reshape(40, -1) @ first.T + tensors["layers.0.bias"], 0)
    odds = np.exp(3 * hidden[:, :2])
    said = odds / odds.sum(axis=1, keepdims=True)
    layers = [dense(4, SIDE * SIDE, "relu"), dense(2, 4, "softmax")]
    made = make_subject((1, SIDE, SIDE), layers, 2)
    facts = {
        "tensors": tensors,
        "document": {**made.document, "scaling": {"offset": 0.0, "scale": 255.0}},
        "inputs": inputs,
        "truth": said.argmax(axis=1),
        "predictions": said.astype(np.float32),
    }
    return make_subject((1, SIDE, SIDE), layers, 2, **(facts | changes))
