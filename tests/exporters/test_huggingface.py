"""The folder for the Hugging Face Hub, read by nothing of nnpipe's."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from ruamel.yaml import YAML
from safetensors.numpy import load

from nnpipe.errors import DataError
from nnpipe.exporters.exporter import Context
from nnpipe.exporters.huggingface import HuggingFace
from nnpipe.exporters.model_card import model_card
from nnpipe.models.architecture import Model
from nnpipe.models.network import Network, save_document
from nnpipe.models.scaling import Scaling


@pytest.fixture
def folder(exported: Path, tmp_path: Path) -> Path:
    """The convolutional network's, unpacked."""
    with zipfile.ZipFile(exported / "convnet" / "huggingface.zip") as archive:
        archive.extractall(tmp_path)
    return tmp_path


def test_config_is_the_document_and_what_the_hub_calls_the_classes(folder: Path, networks: dict[str, Network]) -> None:
    config = json.loads((folder / "config.json").read_text())
    document = json.loads(json.dumps(save_document(networks["convnet"])))
    assert {name: config[name] for name in document} == document
    assert config["model_type"] == "nnpipe"
    assert config["id2label"] == {str(label): f"class {label}" for label in range(5)}
    assert config["label2id"] == {f"class {label}": label for label in range(5)}


def test_the_weights_are_a_file_that_can_be_asked_alone(folder: Path, networks: dict[str, Network]) -> None:
    from nnpipe.prediction.model import open_model

    tensors = load((folder / "model.safetensors").read_bytes())
    for name, tensor in networks["convnet"].state_dict().items():
        np.testing.assert_array_equal(tensors[name], tensor.numpy())
    raw = np.random.default_rng(0).integers(0, 256, (3, 1, 10, 12)).astype(np.float32)
    with torch.inference_mode():
        expected = networks["convnet"](torch.from_numpy((raw - 0.25) / 255))
    np.testing.assert_allclose(open_model(folder / "model.safetensors").predict(raw), expected, rtol=0, atol=1e-5)


def test_the_card_begins_with_what_the_hub_reads_and_tells_the_layers(folder: Path) -> None:
    card = (folder / "README.md").read_text()
    _, front, text = card.split("---\n", 2)
    assert YAML(typ="safe").load(front) == {
        "library_name": "nnpipe", "pipeline_tag": "image-classification", "tags": ["nnpipe"]
    }  # fmt: skip
    assert "It gives probabilities of 5 classes: " in text
    assert "offset 0.25 and scale 255" in text
    # 4 filters of 3 by 5 and 4 biases; 16 units that read 6 by 3 by 3 values.
    assert "| conv2d | 4 by 8 by 8 | 64 |" in text
    assert "| dense | 16 | 880 |" in text


@pytest.mark.parametrize(
    ("about", "units", "tag", "told"),
    [
        ({"target_names": ["x", "y"]}, 2, "tabular-regression", 'It gives 2 scaled numbers: `"x", "y"`.'),
        (
            {"class_names": ["a`b", "$|"]},
            1,
            "tabular-classification",
            'margins of the second of 2 classes: `"a\'b", "$|"`.',
        ),
        ({"class_names": [f"k{n}" for n in range(25)]}, 25, "tabular-classification", '"k19"` and 5 more.'),
        ({"code": 0}, 4, None, "It gives its inputs again"),
    ],
)
def test_the_card_says_what_the_network_gives(
    about: dict[str, object], units: int, tag: str | None, told: str, tmp_path: Path
) -> None:
    layers = [{"kind": "dense", "units": 3}, {"kind": "dense", "units": units, "activation": "linear"}]
    facts = {"class_names": [], **about}
    network = Network(
        Model.model_validate({"layers": layers}), (4,), Scaling(scale=(1.0, 2.0, 3.0, 4.0)),
        generator=torch.Generator().manual_seed(0), **facts,
    )  # fmt: skip
    HuggingFace().write(network.eval(), tmp_path / "a.zip", Context(model_card(network)))
    with zipfile.ZipFile(tmp_path / "a.zip") as archive:
        card = archive.read("README.md").decode()
    assert told in card
    assert YAML(typ="safe").load(card.split("---\n")[1]).get("pipeline_tag") == tag
    assert "numbers of their own" in card
    assert HuggingFace().about(tmp_path / "a.zip") == json.loads(json.dumps(save_document(network)))


def test_an_archive_of_damaged_weights_is_refused(exported: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(exported / "convnet" / "huggingface.zip") as archive:
        config = archive.read("config.json")
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("config.json", config)
        archive.writestr("model.safetensors", b"\xff" * 30)
    with pytest.raises(DataError, match="no safetensors"):
        HuggingFace().load(tmp_path / "a.zip")
    data = bytearray((exported / "convnet" / "huggingface.zip").read_bytes())
    data[data.index(b'"architecture"') + 3] ^= 1
    (tmp_path / "b.zip").write_bytes(data)
    with pytest.raises(DataError, match="not a readable archive"):
        HuggingFace().load(tmp_path / "b.zip")
