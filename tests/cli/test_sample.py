"""``nnpipe sample``: what a trained deep belief net generates, in files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import nnpipe as api

SPEC = {
    "version": 1,
    "name": "belief",
    "data": {"source": "digits"},
    "model": {
        "layers": [
            {"kind": "dense", "units": 12, "activation": "sigmoid"},
            {"kind": "classification_rbm", "hidden": 9, "classes": 10},
        ]
    },
    "train": {"algorithm": "up_down", "optimizer": "sgd", "epochs": 1},
}


@pytest.fixture(scope="module")
def belief(tmp_path_factory: pytest.TempPathFactory) -> Path:
    store = tmp_path_factory.mktemp("belief") / "artifacts"
    api.run(SPEC, store=store, until="evaluate", engine="local", device="cpu")
    return store


@pytest.fixture
def sample(nnpipe, belief, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run = next(path.stem for path in (belief / "runs").glob("*.json"))
    return lambda *words: nnpipe("sample", run, "--store", belief, "--steps", 5, *words)


def test_numbers_are_in_the_datas_units_and_of_its_shape(sample):
    answer = sample("--label", "3", "--count", 4, "--out", "threes.npy")
    assert (answer.status, answer.out) == (0, "threes.npy\n")
    found = np.load("threes.npy")
    assert (found.shape, found.dtype) == ((4, 1, 8, 8), np.float32)
    assert 2 < found.max() <= 16


def test_what_is_held_and_the_seed_determine_the_samples(sample):
    words = {
        "all": (),
        "again": (),
        "label": ("--label", "3"),
        "unit": ("--unit", 8),
        "seed": ("--seed", 1),
    }
    for name, options in words.items():
        assert sample("--count", 5, *options, "--out", f"{name}.npy").status == 0
    found = {name: np.load(f"{name}.npy").tobytes() for name in words}
    assert found["all"] == found["again"]
    assert len(set(found.values())) == 4


def test_a_picture_is_a_mosaic(sample):
    assert sample("--count", 9, "--out", "nine.png").status == 0
    with Image.open("nine.png") as image:
        assert image.width == image.height == 960


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--label", "ten", "--out", "a.png"), "no label 'ten'"),
        (("--label", "10", "--out", "a.png"), "one of 0, 1, 2"),
        (("--unit", 9, "--out", "a.png"), "a number from 0 to 8"),
        (("--unit", -1, "--out", "a.png"), "a number from 0 to 8"),
        (("--count", 0, "--out", "a.png"), "no number of samples 0"),
        (("--out", "a.jpg"), "ends with .png or .npy"),
        (("--out", "nowhere/a.png"), "no place for a file"),
    ],
)
def test_what_cannot_be_is_a_usage_error_and_leaves_no_file(sample, words, told):
    answer = sample(*words)
    assert answer.status == 2
    assert told in answer.err
    assert not list(Path().iterdir())


def test_nothing_is_overwritten_unasked(sample):
    Path("a.npy").write_text("mine")
    assert sample("--out", "a.npy").status == 2
    assert Path("a.npy").read_text() == "mine"
    assert sample("--out", "a.npy", "--overwrite").status == 0


def test_a_network_that_only_classifies_generates_nothing(nnpipe, copied):
    answer = nnpipe("sample", "tiny", "--out", "a.png")
    assert answer.status == 2
    assert "no network that generates" in answer.err
    assert "up_down" in answer.err
