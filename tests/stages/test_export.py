"""The export stage: which files it leaves, that it runs what it wrote on test examples, and the card beside it."""

from __future__ import annotations

import hashlib
import importlib.util
import json
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
import pytest
import torch

from nnpipe.errors import StageError
from nnpipe.exporters.card import Card
from nnpipe.exporters.exporter import Context, Exporter
from nnpipe.exporters.safetensors import Safetensors
from nnpipe.models.architecture import Model
from nnpipe.models.network import Network, save_document
from nnpipe.models.scaling import Scaling
from nnpipe.stages.export import CALIBRATING, Export, export
from nnpipe.stages.splits import read_evenly
from nnpipe.stages.work import Work
from nnpipe.store.artifact import Artifact, Manifest
from nnpipe.store.output import Output

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from nnpipe.exporters.exporter import Run
    from nnpipe.store.arrays import ArrayFile

MODEL = Model.model_validate(
    {
        "layers": [
            {"kind": "conv2d", "filters": 3, "kernel": 3, "activation": "relu"},
            {"kind": "flatten"},
            {"kind": "dense", "units": 2, "activation": "softmax"},
        ]
    }
)
SIZES = {"train": 1100, "validation": 0, "test": 90}
NEVER_RUN = {
    "verified": False,
    "examples": 0,
    "largest_difference": None,
    "same_classes": None,
    "accuracy": None,
    "accuracy_of_network": None,
}


class NoCheckpoints:
    def load(self) -> None:
        return None

    def save(self, tensors: Mapping[str, np.ndarray], document: Any) -> None:
        raise AssertionError("export keeps no checkpoints")

    def due(self) -> bool:
        return False


def network() -> Network:
    return Network(MODEL, (1, 6, 5), Scaling(scale=16.0), ["no", "yes"], torch.Generator().manual_seed(1)).eval()


def raw(split: str) -> np.ndarray:
    return np.random.default_rng(SIZES[split]).integers(0, 17, (SIZES[split], 1, 6, 5)).astype(np.uint8)


def labels() -> np.ndarray:
    """Of the test examples: what the network says of them, but for every third."""
    with torch.inference_mode():
        said = network()(torch.from_numpy(raw("test") / np.float32(16))).argmax(1).numpy()
    said[::3] = 1 - said[::3]
    return said


def artifact(folder: Path, stage: str, fill: Callable[[Output], None]) -> Artifact:
    folder.mkdir()
    output = Output(folder)
    fill(output)
    files = {
        path.name: (path.stat().st_size, hashlib.sha256(path.read_bytes()).hexdigest()) for path in folder.iterdir()
    }
    return Artifact("id", folder, Manifest(stage, output.content(), output.parts, files, output.summary))


@pytest.fixture
def inputs(tmp_path: Path) -> dict[str, Artifact]:
    """What the stages before it leave."""

    def model(output: Output) -> None:
        tensors = {name: tensor.numpy() for name, tensor in network().state_dict().items()}
        output.tensors("model", tensors, save_document(network()))
        output.summary = {"parameters": 104, "epochs": 3, "stopped": "epochs", "kept_epoch": 2}

    def data(output: Output) -> None:
        with output.arrays("data") as writer:
            for split, y in (("train", np.zeros(SIZES["train"], np.int64)), ("test", labels())):
                writer.allocate(f"X_{split}", raw(split).shape, "uint8")
                writer.append(f"X_{split}", raw(split))
                writer.allocate(f"y_{split}", y.shape, "int64")
                writer.append(f"y_{split}", y)
            writer.attributes = {"source": "digits"}
        output.summary = {"examples": SIZES}

    def evaluation(output: Output) -> None:
        output.json("evaluation", {"examples": 90, "intervals": {"test_accuracy": [0.5625, 0.75]}})
        output.summary = {"metrics": {"test_accuracy": 0.6667, "test_loss": 0.5}}

    fills = {"model": model, "data": data, "evaluation": evaluation}
    return {name: artifact(tmp_path / f"of {name}", name, fill) for name, fill in fills.items()}


def run(formats: tuple[Any, ...], inputs: dict[str, Artifact], folder: Path, **options: Any) -> Output:
    folder.mkdir()
    work = Work("export", inputs, Output(folder), seed=5, root=folder, checkpoints=NoCheckpoints())
    export(Export(model=MODEL, formats=formats, **options), work)
    return work.output


def run_fake(exporter: Exporter, inputs: dict[str, Artifact], folder: Path) -> Output:
    work = Work("export", inputs, Output(folder), seed=5, root=folder, checkpoints=NoCheckpoints())
    export(Export.model_construct(model=MODEL, formats=(exporter,), card=Card(), train={}, pretrained=()), work)
    return work.output


def listed(output: Output) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads((output.directory / "exports.json").read_bytes())
    return found


def hide(module: str, monkeypatch: pytest.MonkeyPatch) -> None:
    found = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *rest: None if name == module else found(name, *rest))


def test_each_format_is_written_run_on_test_examples_and_listed_in_order(
    inputs: dict[str, Artifact], tmp_path: Path
) -> None:
    formats = ("onnx", "torch_export", "safetensors", "weights_h5", "huggingface")
    output = run(formats, inputs, tmp_path / "export")
    entries = listed(output)
    assert [(entry["kind"], entry["file"]) for entry in entries] == [
        ("onnx", "model.onnx"),
        ("torch_export", "model.pt2"),
        ("safetensors", "model.safetensors"),
        ("weights_h5", "weights.h5"),
        ("huggingface", "huggingface.zip"),
    ]
    for entry in entries:
        data = (output.directory / entry["file"]).read_bytes()
        assert entry["bytes"] == len(data)
        assert entry["sha256"] == output.parts[entry["file"]] == hashlib.sha256(data).hexdigest()
        assert {name: entry[name] for name in NEVER_RUN} == {
            "verified": True,
            "examples": 90,
            "largest_difference": 1e-6,
            "same_classes": 1.0,
            "accuracy": 60 / 90,  # every third label is wrong
            "accuracy_of_network": 60 / 90,
        }
    assert list(output.summary["formats"]) == [entry["kind"] for entry in entries]
    assert set(output.parts) == {"exports", "model_card.md", *(entry["file"] for entry in entries)}


def test_the_same_network_gives_the_same_content(inputs: dict[str, Artifact], tmp_path: Path) -> None:
    formats = ("onnx", "torch_export", "safetensors", "weights_h5", "huggingface")
    contents = [run(formats, inputs, tmp_path / name).content() for name in ("first", "second")]
    assert contents[0] == contents[1]


def test_what_is_run_by_a_process_of_its_own_runs_while_other_files_are_written(
    inputs: dict[str, Artifact], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written = Event()
    write = Safetensors.write

    def outputs(path: Path, batches: Sequence[np.ndarray]) -> None:
        assert written.wait(30), "it was waited for"

    def then_go_on(self: Safetensors, *given: Any) -> None:
        write(self, *given)
        written.set()

    monkeypatch.setattr("nnpipe.exporters.keras_runtime.keras_outputs", outputs)
    monkeypatch.setattr(Safetensors, "write", then_go_on)
    entries = listed(run(("keras_h5", "safetensors"), inputs, tmp_path / "export"))
    assert [(entry["kind"], entry["verified"]) for entry in entries] == [("keras_h5", False), ("safetensors", True)]


def test_without_formats_the_list_is_empty_and_there_is_no_card(inputs: dict[str, Artifact], tmp_path: Path) -> None:
    output = run((), inputs, tmp_path / "export")
    assert listed(output) == []
    assert output.summary == {"formats": {}}
    assert set(output.parts) == {"exports"}


def test_a_format_named_twice_is_written_once(inputs: dict[str, Artifact], tmp_path: Path) -> None:
    output = run(("safetensors", {"kind": "safetensors"}), inputs, tmp_path / "export")
    assert [entry["kind"] for entry in listed(output)] == ["safetensors"]


def test_the_card_tells_what_the_stages_before_made(inputs: dict[str, Artifact], tmp_path: Path) -> None:
    train = {"optimizer": {"kind": "sgd", "momentum": None, "learning_rate": 0.5}}
    card = {"title": "Yes or no", "licence": "MIT"}
    output = run(
        ("safetensors",), inputs, tmp_path / "export", card=card, train=train, pretrained=["rbm", "autoencoder"]
    )
    told = (output.directory / "model_card.md").read_text(encoding="utf-8")
    for text in (
        "# Yes or no\n",
        "license: mit\n",
        "From the source `digits`. Examples of 2 classes: 1,100 train, 90 test.",
        "- pretraining: `rbm, autoencoder`\n- optimizer: `sgd {learning_rate: 0.5}`\n"
        "- epochs: `3 (all epochs were done)`\n- epoch whose weights were kept: `2`\n",
        "on 90 test examples, from which nothing was learnt",
        "| Accuracy | 0.6667 | 0.5625 to 0.75 |\n| Test loss | 0.5 |  |\n",
        f"- data: `{inputs['data'].manifest.content}`\n- network: `{inputs['model'].manifest.content}`\n",
        "open_model(Path('model.safetensors')).predict(raw)",
        "Verified on 90 test examples: outputs differ from the network's by at most 1e-06, accuracy 0.6667",
    ):
        assert text in told


class Faulty(Exporter):
    """A format whose file computes ``outputs`` of every input, but wrongly where there are several."""

    kind: Literal["faulty"] = "faulty"
    filename: ClassVar[str] = "faulty"
    loading: ClassVar[str] = "nothing"
    error: float = 0.0

    def write(self, network: Network, path: Path, context: Context) -> None:
        self.__dict__.update(network=network, context=context)
        path.write_bytes(b"")

    def about(self, path: Path) -> dict[str, object]:
        raise AssertionError("nobody asks")

    def load(self, path: Path, architecture: Model | None = None) -> Run:
        def compute(x: np.ndarray) -> np.ndarray:
            with torch.inference_mode():
                outputs: np.ndarray = self.__dict__["network"](torch.from_numpy(x)).numpy()
            # Right for a single example: what goes wrong, goes wrong with several.
            return outputs if len(x) == 1 else outputs + np.float32(self.error)

        return compute


def test_a_file_that_computes_something_else_fails_the_stage(inputs: dict[str, Artifact], tmp_path: Path) -> None:
    with pytest.raises(StageError, match="the faulty file does not compute what the network computes"):
        run_fake(Faulty(error=1e-3), inputs, tmp_path)


def test_a_small_difference_is_told_rounded_up_to_a_power_of_ten(inputs: dict[str, Artifact], tmp_path: Path) -> None:
    assert listed(run_fake(Faulty(error=3e-5), inputs, tmp_path))[0]["largest_difference"] == 1e-4


def test_a_format_is_given_scaled_training_inputs_to_calibrate_by(inputs: dict[str, Artifact], tmp_path: Path) -> None:
    exporter = Faulty()
    run_fake(exporter, inputs, tmp_path)
    examples = exporter.__dict__["context"].examples
    assert examples.dtype == np.float32
    # 500 of 1,100: by steps of 2.2, rounded down.
    every = raw("train")[[int(step * 11 // 5) for step in range(CALIBRATING)]]
    np.testing.assert_array_equal(examples, every / np.float32(16))


def test_examples_are_chosen_evenly_whatever_blocks_they_are_read_in(
    inputs: dict[str, Artifact], monkeypatch: pytest.MonkeyPatch
) -> None:
    def sevens(file: ArrayFile, name: str) -> Iterator[np.ndarray]:
        return (file.rows(name, start, min(start + 7, 90)) for start in range(0, 90, 7))

    monkeypatch.setattr("nnpipe.store.arrays.blocks", sevens)
    with closing(inputs["data"].arrays("data")) as file:
        for most, rows in ((20, [int(4.5 * place) for place in range(20)]), (1000, range(90))):
            x, y = read_evenly(file, "test", most)
            np.testing.assert_array_equal(x, raw("test")[rows])
            np.testing.assert_array_equal(y, labels()[rows])


@pytest.mark.parametrize(("kind", "runtime"), [("onnx", "onnxruntime"), ("keras_h5", "keras")])
def test_a_missing_runtime_is_told_and_is_no_failure(
    kind: str, runtime: str, inputs: dict[str, Artifact], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hide(runtime, monkeypatch)
    output = run((kind,), inputs, tmp_path / "export")
    (entry,) = listed(output)
    assert {name: entry[name] for name in NEVER_RUN} == NEVER_RUN
    assert "\nNot verified.\n" in (output.directory / "model_card.md").read_text(encoding="utf-8")
