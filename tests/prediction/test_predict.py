"""What a trained network says of new examples, from whatever file it is in and whatever files they are in."""

from __future__ import annotations

import gzip
import json
import struct
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import torch
from PIL import Image

from nnpipe.cli import main
from nnpipe.errors import DataError, UsageError
from nnpipe.exporters import find_exporter
from nnpipe.exporters.exporter import Context
from nnpipe.models.architecture import Model
from nnpipe.models.network import Network
from nnpipe.models.scaling import Scaling
from nnpipe.prediction.inputs import Reading
from nnpipe.prediction.model import open_model

SHAPE = (1, 4, 5)
NAMES = ["nought", "one", "$two"]
FORMATS = pytest.mark.parametrize("kind", ["onnx", "safetensors", "weights_h5"])
RAW = np.random.default_rng(0).integers(0, 256, (7, *SHAPE)).astype(np.uint8)


def network(*layers: Any, shape: tuple[int, ...] = SHAPE, **options: Any) -> Network:
    scaling = options.pop("scaling", Scaling(offset=0, scale=255, range=(0, 255)))
    names = options.pop("class_names", NAMES)
    model = Model.model_validate({"layers": list(layers)})
    return Network(model, shape, scaling, names, torch.Generator().manual_seed(0), **options).eval()


def classifier() -> Network:
    return network(
        {"kind": "dense", "units": 6, "activation": "tanh"}, {"kind": "dense", "units": 3, "activation": "softmax"}
    )


def written(trained: Network, kind: str, folder: Path) -> Path:
    exporter = find_exporter(kind)
    exporter.write(trained, folder / exporter.filename, Context())
    return folder / exporter.filename


@FORMATS
def test_every_format_gives_the_probabilities_of_the_network_for_raw_values(kind: str, tmp_path: Path) -> None:
    trained = classifier()
    asked = open_model(written(trained, kind, tmp_path))
    with torch.inference_mode():
        expected, classes = trained.predict(torch.from_numpy(trained.scaling.apply(RAW)))
    scores = asked.predict(RAW)
    np.testing.assert_allclose(scores, expected.numpy(), atol=1e-6)
    assert asked.names == tuple(NAMES)
    assert asked.classify(scores).tolist() == classes.tolist()


@FORMATS
def test_examples_are_asked_about_a_few_at_a_time_where_a_network_is_large(kind: str, tmp_path: Path) -> None:
    whole, asked = open_model(written(classifier(), kind, tmp_path)), list[int]()

    def run(x: np.ndarray) -> np.ndarray:
        asked.append(len(x))
        return whole.run(x)

    np.testing.assert_allclose(replace(whole, at_once=3, run=run).predict(RAW), whole.predict(RAW), atol=1e-7)
    assert asked == [3, 3, 1]


@pytest.mark.parametrize("activation", ["sigmoid", "linear"])
def test_of_one_unit_both_classes_are_told(activation: str, tmp_path: Path) -> None:
    trained = network({"kind": "dense", "units": 1, "activation": activation}, class_names=["no", "yes"])
    asked = open_model(written(trained, "onnx", tmp_path))
    with torch.inference_mode():
        expected, classes = trained.predict(torch.from_numpy(trained.scaling.apply(RAW)))
    np.testing.assert_allclose(asked.predict(RAW), expected.numpy(), atol=1e-6)
    assert asked.classify(asked.predict(RAW)).tolist() == classes.tolist()


def test_numbers_come_in_the_units_of_the_data(tmp_path: Path) -> None:
    trained = network(
        {"kind": "dense", "units": 2, "activation": "linear"},
        class_names=[],
        target_names=["height", "weight"],
        target_scaling=Scaling(offset=(10.0, -3.0), scale=(2.0, 0.5)),
    )
    asked = open_model(written(trained, "onnx", tmp_path))
    with torch.inference_mode():
        expected = trained.estimate(torch.from_numpy(trained.scaling.apply(RAW)))
    assert asked.names == ("height", "weight")
    np.testing.assert_allclose(asked.predict(RAW), expected.numpy(), rtol=1e-5)


def test_an_autoencoder_tells_its_squared_error(tmp_path: Path) -> None:
    trained = network(
        {"kind": "dense", "units": 2, "activation": "linear"},
        {"kind": "dense", "units": 20, "activation": "sigmoid"},
        class_names=[],
        code=0,
    )
    x = trained.scaling.apply(RAW)
    with torch.inference_mode():
        given_back = trained(torch.from_numpy(x)).numpy()
    error = open_model(written(trained, "safetensors", tmp_path)).predict(RAW)[:, 0]
    np.testing.assert_allclose(error, ((given_back - x.reshape(7, 20)) ** 2).sum(1), rtol=1e-5)


def save_npy(folder: Path) -> Path:
    np.save(folder / "some.npy", RAW)
    return folder / "some.npy"


def save_npz(folder: Path) -> Path:
    np.savez(folder / "some.npz", X_test=RAW, y_test=np.zeros(7))
    return folder / "some.npz"


def save_h5_with_channels_last(folder: Path) -> Path:
    with h5py.File(folder / "some.h5", "w") as file:
        file["anything"] = RAW.transpose(0, 2, 3, 1)
    return folder / "some.h5"


def save_csv_with_a_header(folder: Path) -> Path:
    header = ",".join(f"pixel{place}" for place in range(20))
    lines = [",".join(map(str, row)) for row in RAW.reshape(7, 20)]
    (folder / "some.csv").write_text("\n".join([header, *lines, ""]))
    return folder / "some.csv"


def save_idx(folder: Path) -> Path:
    with gzip.open(folder / "some-ubyte.gz", "wb") as file:
        file.write(struct.pack(">BBBBIII", 0, 0, 8, 3, 7, 4, 5) + RAW.tobytes())
    return folder / "some-ubyte.gz"


def save_images(folder: Path) -> Path:
    (folder / "images" / "below").mkdir(parents=True)
    for number, image in enumerate(RAW):
        Image.fromarray(image[0]).save(folder / "images" / "below" / f"{number}.png")
    return folder / "images"


@pytest.mark.parametrize(
    "save", [save_npy, save_npz, save_h5_with_channels_last, save_csv_with_a_header, save_idx, save_images]
)
@pytest.mark.parametrize("rows", [3, 256])
def test_examples_are_read_from_what_people_keep_them_in(
    save: Callable[[Path], Path], rows: int, tmp_path: Path
) -> None:
    path = save(tmp_path)
    blocks = list(Reading(SHAPE, Scaling(), rows=rows).blocks(path))
    np.testing.assert_array_equal(np.concatenate([block.values for block in blocks]), RAW)
    names = [name for block in blocks for name in block.names]
    assert names == ([f"below/{n}.png" for n in range(7)] if path.is_dir() else [str(n) for n in range(7)])


def test_images_are_stretched_to_the_range_that_the_network_learnt_from(tmp_path: Path) -> None:
    Image.fromarray(np.array([[0, 255, 51, 0, 0]] * 4, np.uint8)).save(tmp_path / "one.png")
    (block,) = Reading(SHAPE, Scaling(scale=16, range=(0, 16))).blocks(tmp_path / "one.png")
    np.testing.assert_allclose(block.values[0, 0, 0], [0, 16, 3.2, 0, 0], rtol=1e-6)


def test_an_image_of_another_size_is_resized_only_if_asked_to(tmp_path: Path) -> None:
    Image.new("RGB", (50, 40), (200, 200, 200)).save(tmp_path / "large.jpg")
    with pytest.raises(DataError, match=r"height 40 and width 50\n.*--resize"):
        list(Reading(SHAPE, Scaling()).blocks(tmp_path / "large.jpg"))
    (block,) = Reading(SHAPE, Scaling(), resize=True).blocks(tmp_path / "large.jpg")
    assert block.values.shape == (1, *SHAPE)
    assert np.abs(block.values.astype(int) - 200).max() <= 1


def test_an_array_in_a_file_of_several_is_named(tmp_path: Path) -> None:
    np.savez(tmp_path / "some.npz", first=RAW, second=RAW[:2])
    with pytest.raises(UsageError, match=r"--array with one of first, second"):
        list(Reading(SHAPE, Scaling()).blocks(tmp_path / "some.npz"))
    (block,) = Reading(SHAPE, Scaling(), array="second").blocks(tmp_path / "some.npz")
    np.testing.assert_array_equal(block.values, RAW[:2])


WRONG: dict[str, tuple[str, Callable[[Path], object], str]] = {
    "another shape": ("a.npy", lambda path: np.save(path, np.zeros((3, 4, 4), np.uint8)), "another shape"),
    "pickled objects": ("a.npy", lambda path: np.save(path, np.array([{}]), allow_pickle=True), "not a readable .npy"),
    "not a number": ("a.npy", lambda path: np.save(path, np.full((2, *SHAPE), np.nan, np.float32)), "nan"),
    "one number": ("a.npy", lambda path: np.save(path, np.float32(3)), "not an array of examples"),
    "a short row": ("a.csv", lambda path: path.write_text("1,2,3\n"), "expected  20 numbers"),
    "a word among numbers": ("a.csv", lambda path: path.write_text("1," * 19 + "seven\n"), "a.csv:1"),
    "a broken image": ("a.png", lambda path: path.write_bytes(b"\x89PNG\r\n\x1a\n and nothing"), "cannot be read"),
    "a folder without images": ("a", lambda path: path.mkdir(), "without images"),
}


@pytest.mark.parametrize("case", WRONG)
def test_examples_that_the_network_cannot_take_are_refused_with_their_place(case: str, tmp_path: Path) -> None:
    name, make, words = WRONG[case]
    make(tmp_path / name)
    with pytest.raises(DataError, match=words):
        list(Reading(SHAPE, Scaling()).blocks(tmp_path / name))


def test_a_file_that_is_nothing_of_these_is_told_what_would_be(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("hello")
    for path in (tmp_path / "notes.txt", tmp_path / "absent.npy"):
        with pytest.raises(UsageError):
            list(Reading(SHAPE, Scaling()).blocks(path))


def test_a_process_that_asks_an_onnx_file_imports_no_torch(tmp_path: Path) -> None:
    model, examples = written(classifier(), "onnx", tmp_path), save_npy(tmp_path)
    code = (
        "import sys; from nnpipe.cli import main; "
        f"status = main(['predict', {str(model)!r}, {str(examples)!r}, '--format', 'csv']); "
        "sys.exit(3 if 'torch' in sys.modules else status)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    rows = done.stdout.splitlines()
    assert rows[0] == "input,class,nought,one,$two"
    told = np.array([[float(word) for word in row.split(",")[2:]] for row in rows[1:]])
    np.testing.assert_allclose(told, open_model(model).predict(RAW), atol=1e-7)


def test_json_is_one_object_and_a_table_is_aligned(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model, examples = str(written(classifier(), "safetensors", tmp_path)), str(save_npy(tmp_path))
    assert main(["predict", model, examples, "--format", "json", "--batch", "2"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["classes"] == NAMES
    assert [row["input"] for row in told["predictions"]] == [str(n) for n in range(7)]
    scores = open_model(Path(model)).predict(RAW)
    assert [row["class"] for row in told["predictions"]] == [NAMES[place] for place in scores.argmax(1)]
    assert told["predictions"][0]["probabilities"] == pytest.approx(dict(zip(NAMES, scores[0], strict=True)), abs=1e-6)
    assert main(["predict", model, examples]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 8
    assert lines[1].split()[:3] == ["0", told["predictions"][0]["class"], f"{scores[0].max():.4f}"]
