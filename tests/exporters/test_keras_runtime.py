"""What happens around the process that Keras runs in; Keras itself is played by a few lines that start at once."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import pytest

from nnpipe.errors import StageError
from nnpipe.exporters import keras_runtime
from nnpipe.exporters.keras import Keras
from nnpipe.exporters.keras_h5 import KerasH5

# The last colour of the upper left corner, of each example.
PLAYED = """
import os, sys
import numpy as np
assert os.environ["KERAS_BACKEND"] == "torch" and os.environ["KERAS_HOME"] != {home!r}
assert not any(name.startswith("nnpipe") for name in sys.modules) and "" not in sys.path
with np.load(sys.argv[2]) as batches:
    np.savez(sys.argv[3], **{{name: batches[name][:, 0, 0, -1] for name in batches.files}})
"""


@pytest.fixture
def keras(monkeypatch: pytest.MonkeyPatch) -> None:
    found = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: True if name == "keras" else found(name))
    monkeypatch.setenv("KERAS_HOME", "/of/the/user")
    monkeypatch.setattr(keras_runtime, "IN_KERAS", PLAYED.format(home="/of/the/user"))


@pytest.mark.usefixtures("keras")
@pytest.mark.parametrize("exporter", [Keras(), KerasH5()])
def test_every_batch_comes_to_keras_channels_last_and_back_in_its_place(
    exporter: Keras | KerasH5, tmp_path: Path
) -> None:
    batches = [np.random.default_rng(size).random((size, 3, 4, 5), np.float32) for size in (1, 3, 64)]
    found = exporter.outputs(tmp_path / exporter.filename, batches)
    assert found is not None
    for batch, outputs in zip(batches, found, strict=True):
        np.testing.assert_array_equal(outputs, batch[:, 2, 0, 0])


@pytest.mark.usefixtures("keras")
def test_what_keras_says_last_is_told_where_it_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keras_runtime, "IN_KERAS", "print('a warning'); raise ValueError('no layer Wavelet')")
    with pytest.raises(StageError, match="Keras cannot run its file") as caught:
        Keras().outputs(tmp_path / "model.keras", [np.zeros((1, 2), np.float32)])
    assert caught.value.found == "ValueError: no layer Wavelet"
    assert caught.value.where == "model.keras"


def test_without_keras_there_are_no_outputs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert KerasH5().outputs(tmp_path / "model.h5", [np.zeros((1, 2), np.float32)]) is None
