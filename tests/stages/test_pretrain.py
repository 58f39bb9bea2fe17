"""The stage that pretrains a layer: from artifacts to an artifact."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from itertools import pairwise
from pathlib import Path
from threading import Event
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from torch.nn import functional as F

from nnpipe.errors import Interrupted, StageError
from nnpipe.stages.pretrain import PretrainLayer, pretrain
from nnpipe.stages.work import Work
from nnpipe.store.artifact import Artifact, Manifest
from nnpipe.store.checkpoints import DiskCheckpoints
from nnpipe.store.output import Output

RBM = {"kind": "rbm"}
AUTOENCODER = {"kind": "autoencoder", "loss": "mean_squared_error", "tied": False}
LENGTHS = {"train": 200, "validation": 50, "test": 40}


def sealed(output: Output, stage: str) -> Artifact:
    """What a stage wrote, as an artifact; its files were not hashed, so they are not checked."""
    files = {p.relative_to(output.directory).as_posix() for p in output.directory.rglob("*") if p.is_file()}
    manifest = Manifest(stage, output.content(), output.parts, dict.fromkeys(files, (0, "")), output.summary)
    artifact = Artifact("0" * 64, output.directory, manifest)
    artifact._verified = files
    return artifact


class Stopping(Event):
    """An event that is set when somebody looks and ``when`` says so."""

    def __init__(self, when: Callable[[], bool]) -> None:
        super().__init__()
        self.when = when

    def is_set(self) -> bool:
        return self.when()


def ingested(folder: Path, lengths: dict[str, int], scale: float = 1) -> Artifact:
    """Digits of 8x8 pixels from 0 to 16, some for each split."""
    folder.mkdir()
    digits, start = load_digits().images[:, None].astype(np.float32) * np.float32(scale), 0
    output = Output(folder)
    with output.arrays("data") as writer:
        for split, length in lengths.items():
            writer.allocate(f"X_{split}", (length, 1, 8, 8), np.float32 if scale != 1 else np.uint8)
            writer.append(f"X_{split}", digits[start : start + length])
            start += length
        statistics = {"mean": 5.0, "std": 6.0, "feature_mean": None, "feature_std": None}
        about = {"input_shape": [1, 8, 8], "value_range": [0, 16], "statistics": statistics}
        writer.attributes = {**about, "class_names": [str(digit) for digit in range(10)]}
    return sealed(output, "ingest")


def config(method: dict[str, Any] = RBM, activation: str = "sigmoid", **fields: Any) -> PretrainLayer:
    layer = {"kind": "dense", "units": 20, "activation": activation}
    optimizer = {"kind": "sgd", "learning_rate": 0.02, "momentum": 0.5}
    rest = {"epochs": 3, "batch_size": 20, "optimizer": optimizer, "scaling": "auto", **fields}
    return PretrainLayer.model_validate({"method": method, "layer": layer, **rest})


@pytest.fixture
def data(tmp_path: Path) -> Artifact:
    return ingested(tmp_path / "data", LENGTHS)


@pytest.fixture
def work(tmp_path: Path, data: Artifact) -> Callable[..., Work]:
    def make(folder: str = "out", seed: int = 3, **inputs: Artifact) -> Work:
        (tmp_path / folder).mkdir()
        (tmp_path / "checkpoints").mkdir(exist_ok=True)
        checkpoints = DiskCheckpoints(tmp_path / "checkpoints", 1000)
        return Work("pretrain/1", {"data": data, **inputs}, Output(tmp_path / folder), seed, tmp_path, checkpoints)

    return make


def rows(artifact: Artifact, name: str, array: str) -> np.ndarray:
    with closing(artifact.arrays(name)) as file:
        return file.rows(array, 0, file.shape(array)[0])


@pytest.mark.parametrize("method", [RBM, {"kind": "rbm", "sampler": "pcd"}, AUTOENCODER], ids=["cd", "pcd", "dae"])
def test_it_keeps_the_layer_its_history_and_its_representation(
    work: Callable[..., Work], data: Artifact, method: dict[str, Any]
) -> None:
    done = work()
    pretrain(config(method, epochs=15), done)
    artifact = sealed(done.output, "pretrain/1")
    tensors, about = artifact.tensors("layer")
    wanted = {"weight": (20, 64), "bias": (20,), "visible_bias": (64,)}
    wanted |= {"decoder_weight": (64, 20)} if method is AUTOENCODER else {}
    assert {name: tensor.shape for name, tensor in tensors.items()} == wanted
    assert about["method"]["kind"] == method["kind"]
    assert about["layer"]["units"] == 20
    for split, length in LENGTHS.items():
        x = rows(data, "data", f"X_{split}").reshape(length, 64) / 16
        expected = 1 / (1 + np.exp(-(x @ tensors["weight"].T + tensors["bias"])))
        found = rows(artifact, "representation", f"H_{split}")
        assert found.dtype == np.float32
        np.testing.assert_allclose(found, expected, atol=1e-5)
    history = artifact.json("history")
    assert [record["epoch"] for record in history] == list(range(1, 16))
    assert not {"seconds", "examples"} & set(history[0])
    assert history[-1]["val_reconstruction_error"] < history[0]["val_reconstruction_error"]
    summary = artifact.summary
    assert (summary["method"], summary["visible"], summary["hidden"]) == (method["kind"], 64, 20)
    assert summary["epochs"] == len(done.timings["epochs"]) == 15
    assert summary["reconstruction_error"] == history[-1]["reconstruction_error"]


def test_the_next_layer_learns_from_the_representation_below(work: Callable[..., Work]) -> None:
    first = work("first")
    pretrain(config(), first)
    below = sealed(first.output, "pretrain/1")
    second = work("second", below=below)
    pretrain(config(layer={"kind": "dense", "units": 7, "activation": "sigmoid"}), second)
    artifact = sealed(second.output, "pretrain/2")
    tensors, _ = artifact.tensors("layer")
    assert tensors["weight"].shape == (7, 20)
    hidden = rows(below, "representation", "H_test")
    expected = 1 / (1 + np.exp(-(hidden @ tensors["weight"].T + tensors["bias"])))
    np.testing.assert_allclose(rows(artifact, "representation", "H_test"), expected, atol=1e-5)


def test_visible_biases_start_at_the_data_s_log_odds(work: Callable[..., Work], data: Artifact) -> None:
    done = work()
    pretrain(config(epochs=1, optimizer={"kind": "sgd", "learning_rate": 1e-30}), done)
    tensors, _ = sealed(done.output, "pretrain/1").tensors("layer")
    mean = (rows(data, "data", "X_train").reshape(200, 64) / 16).mean(0).clip(0.001, 0.999)
    np.testing.assert_allclose(tensors["visible_bias"], np.log(mean / (1 - mean)), rtol=1e-4, atol=1e-5)


def test_the_same_seed_gives_the_same_content_and_another_another(work: Callable[..., Work]) -> None:
    contents = []
    for folder, seed in (("one", 3), ("two", 3), ("three", 4)):
        done = work(folder, seed)
        pretrain(config(), done)
        contents.append(done.output.content())
    assert contents[0] == contents[1] != contents[2]


@pytest.mark.parametrize("sampler", ["cd", "pcd", "parallel_tempering"])
def test_an_interrupted_stage_goes_on_to_the_same_content(work: Callable[..., Work], sampler: str) -> None:
    settings = config({"kind": "rbm", "sampler": sampler})
    whole = work("whole")
    pretrain(settings, whole)
    stopped = work("stopped")
    stopped.epoch = lambda record, epochs: stopped.stopping.set() if record["epoch"] == 2 else None  # type: ignore[method-assign]
    with pytest.raises(Interrupted):
        pretrain(settings, stopped)
    resumed = work("resumed")
    pretrain(settings, resumed)
    assert resumed.output.content() == whole.output.content()
    assert [entry["epoch"] for entry in resumed.timings["epochs"]] == [1, 2, 3]
    assert "snapshots" in resumed.output.parts


@pytest.mark.parametrize("method", [RBM, AUTOENCODER, {"kind": "supervised"}], ids=lambda method: method["kind"])
def test_the_first_units_are_kept_as_they_were_before_and_after_each_epoch(
    work: Callable[..., Work], tmp_path: Path, method: dict[str, Any]
) -> None:
    done = work(data=labelled(tmp_path / "labelled"))
    pretrain(config(method), done)
    artifact = sealed(done.output, "pretrain/1")
    kept, _ = artifact.tensors("snapshots")
    assert kept["epoch"].tolist() == [0, 1, 2, 3]
    assert (kept["weight"].shape, kept["weight"].dtype) == ((4, 20, 64), np.float16)
    tensors, _ = artifact.tensors("layer")
    np.testing.assert_array_equal(kept["weight"][3], tensors["weight"].astype(np.float16))
    steps = [np.abs(after - before).max() for before, after in pairwise(kept["weight"].astype(np.float32))]
    assert min(steps) > 0
    shorter = work("shorter", data=labelled(tmp_path / "again"))
    pretrain(config(method, epochs=1), shorter)
    early, _ = sealed(shorter.output, "pretrain/1").tensors("snapshots")
    np.testing.assert_array_equal(early["weight"], kept["weight"][:2])


@pytest.mark.parametrize("stop_at", [0, 1, 15, 29])
def test_snapshots_of_a_stage_interrupted_anywhere_are_whole(work: Callable[..., Work], stop_at: int) -> None:
    whole = work("whole")
    pretrain(config(AUTOENCODER), whole)
    stopped, looks = work("stopped"), iter(range(1000))
    stopped.stopping = Stopping(lambda: next(looks) == stop_at)
    with pytest.raises(Interrupted):
        pretrain(config(AUTOENCODER), stopped)
    resumed = work("resumed")
    pretrain(config(AUTOENCODER), resumed)
    assert resumed.output.content() == whole.output.content()


def test_without_a_validation_split_only_training_is_measured(work: Callable[..., Work], tmp_path: Path) -> None:
    done = work(data=ingested(tmp_path / "unsplit", {"train": 100, "test": 20}))
    pretrain(config(), done)
    assert "val_reconstruction_error" not in done.output.summary
    with closing(sealed(done.output, "pretrain/1").arrays("representation")) as file:
        assert file.names() == ["H_test", "H_train"]


def test_what_a_method_tells_at_the_end_is_in_the_summary_and_beside_the_history(work: Callable[..., Work]) -> None:
    done = work()
    pretrain(config({"kind": "rbm", "likelihood": True}), done)
    artifact = sealed(done.output, "pretrain/1")
    told = artifact.json("conclusion")
    assert set(told) == {"log_partition", *(f"{split}_log_likelihood" for split in LENGTHS)}
    assert {key: artifact.summary[key] for key in told} == told
    assert -64 * np.log(2) < told["test_log_likelihood"] < 0
    silent = work("silent")
    pretrain(config(), silent)
    assert "conclusion" not in silent.output.parts


def test_a_machine_with_gaussian_visible_units_reads_any_values(work: Callable[..., Work]) -> None:
    done = work()
    method = {"kind": "rbm", "visible": "gaussian", "variance": "learned"}
    optimizer = {"kind": "sgd", "learning_rate": 0.001, "momentum": 0.9}
    pretrain(config(method, "linear", scaling="standard", optimizer=optimizer, epochs=10), done)
    artifact = sealed(done.output, "pretrain/1")
    tensors, _ = artifact.tensors("layer")
    assert tensors["log_variance"].shape == (64,)
    history = artifact.json("history")
    assert history[-1]["val_reconstruction_error"] < history[0]["val_reconstruction_error"]
    assert np.isfinite(history[-1]["val_free_energy_gap"])


@pytest.mark.parametrize("scaling", ["standard", "none"])
def test_values_that_are_no_probabilities_are_refused(work: Callable[..., Work], scaling: str) -> None:
    with pytest.raises(StageError, match="reads values as probabilities") as caught:
        pretrain(config(scaling=scaling), work())
    assert (
        caught.value.found == {"standard": "values from -0.833333 to 1.83333", "none": "values from 0 to 16"}[scaling]
    )
    assert caught.value.hint is not None
    assert "data.scaling: unit" in caught.value.hint
    assert "visible: gaussian" in caught.value.hint


def test_values_that_are_no_numbers_are_refused(work: Callable[..., Work], tmp_path: Path) -> None:
    with pytest.raises(StageError, match="reads values as probabilities"):
        pretrain(config(), work(data=ingested(tmp_path / "nan", {"train": 100, "test": 20}, scale=np.nan)))


def test_an_autoencoder_with_squared_error_reads_any_values(work: Callable[..., Work]) -> None:
    done = work()
    settings = config(AUTOENCODER, "tanh", scaling="standard", optimizer={"kind": "adam"})
    pretrain(settings, done)
    history = sealed(done.output, "pretrain/1").json("history")
    assert history[-1]["val_loss"] < history[0]["val_loss"]
    assert history[-1]["val_loss"] == history[-1]["val_reconstruction_error"]


CONVOLUTION = {"kind": "conv2d", "filters": 3, "kernel": 3, "activation": "sigmoid"}
POOL = {"kind": "max_pool2d", "size": 2}
CONVOLVING = [AUTOENCODER, {"kind": "supervised"}]


def labelled(folder: Path, classes: int = 10) -> Artifact:
    """Digits with their labels."""
    folder.mkdir()
    found = load_digits()
    output = Output(folder)
    with output.arrays("data") as writer:
        for split, (start, stop) in {"train": (0, 200), "validation": (200, 250), "test": (250, 290)}.items():
            writer.allocate(f"X_{split}", (stop - start, 1, 8, 8), np.uint8)
            writer.append(f"X_{split}", found.images[start:stop, None].astype(np.uint8))
            writer.allocate(f"y_{split}", (stop - start,), np.int64)
            writer.append(f"y_{split}", found.target[start:stop].astype(np.int64))
        names = [str(digit) for digit in range(classes)]
        writer.attributes = {"input_shape": [1, 8, 8], "value_range": [0, 16], "class_names": names}
    return sealed(output, "ingest")


@pytest.mark.parametrize("method", CONVOLVING, ids=lambda method: method["kind"])
def test_a_convolution_keeps_its_maps_and_the_next_layer_sees_them_through_the_pool(
    work: Callable[..., Work], tmp_path: Path, method: dict[str, Any]
) -> None:
    data = labelled(tmp_path / "labelled")
    first = work("first", data=data)
    pretrain(config(method, layer=CONVOLUTION), first)
    below = sealed(first.output, "pretrain/1")
    tensors, about = below.tensors("layer")
    assert tensors["weight"].shape == (3, 1, 3, 3)
    assert (about["visible"], about["between"]) == ([1, 8, 8], [])
    x = torch.from_numpy(rows(data, "data", "X_test")).float() / 16
    maps = F.conv2d(x, torch.tensor(tensors["weight"]), torch.tensor(tensors["bias"])).sigmoid()
    np.testing.assert_allclose(rows(below, "representation", "H_test"), maps, atol=1e-6)
    assert (below.summary["visible"], below.summary["hidden"]) == (64, 108)

    second = work("second", data=data, below=below)
    pretrain(config(method, below="sigmoid", between=[POOL]), second)
    above = sealed(second.output, "pretrain/2")
    tensors, about = above.tensors("layer")
    assert (about["visible"], above.summary["visible"]) == ([27], 27)
    assert below.tensors("snapshots")[0]["weight"].shape == (4, 3, 1, 3, 3)
    assert "snapshots" not in above.manifest.parts
    seen = F.max_pool2d(maps, 2).flatten(1).numpy()
    expected = 1 / (1 + np.exp(-(seen @ tensors["weight"].T + tensors["bias"])))
    np.testing.assert_allclose(rows(above, "representation", "H_test"), expected, atol=1e-5)


def test_the_data_are_scaled_before_they_go_through_a_layer_between(work: Callable[..., Work], data: Artifact) -> None:
    done = work()
    pretrain(config(AUTOENCODER, layer=CONVOLUTION, between=[POOL]), done)
    artifact = sealed(done.output, "pretrain/1")
    tensors, _ = artifact.tensors("layer")
    assert "snapshots" not in artifact.manifest.parts, "the layer does not see the images as they are"
    x = F.max_pool2d(torch.from_numpy(rows(data, "data", "X_test")).float() / 16, 2)
    expected = F.conv2d(x, torch.tensor(tensors["weight"]), torch.tensor(tensors["bias"])).sigmoid()
    np.testing.assert_allclose(rows(artifact, "representation", "H_test"), expected, atol=1e-6)


def test_a_boltzmann_machine_learns_from_the_maps_of_a_convolution(work: Callable[..., Work]) -> None:
    first = work("first")
    pretrain(config(AUTOENCODER, layer=CONVOLUTION), first)
    second = work("second", below=sealed(first.output, "pretrain/1"))
    pretrain(config(RBM, below="sigmoid"), second)
    assert sealed(second.output, "pretrain/2").tensors("layer")[0]["weight"].shape == (20, 108)


def test_greedy_supervised_pretraining_learns_the_labels(work: Callable[..., Work], tmp_path: Path) -> None:
    done = work(data=labelled(tmp_path / "labelled"))
    pretrain(config({"kind": "supervised"}, epochs=30, optimizer={"kind": "adam"}), done)
    artifact = sealed(done.output, "pretrain/1")
    assert artifact.summary["labels"] is True
    assert artifact.summary["val_accuracy"] > 0.8
    hidden = [rows(artifact, "representation", f"H_{split}") for split in ("train", "validation")]
    targets = load_digits().target
    judge = LogisticRegression(max_iter=2000).fit(hidden[0], targets[:200])
    assert judge.score(hidden[1], targets[200:250]) > 0.8


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"layer": {**CONVOLUTION, "kernel": 9}}, "the kernel is larger"),
        ({"layer": CONVOLUTION, "between": [{"kind": "flatten"}]}, "conv2d reads images"),
        ({"between": [{**POOL, "size": 9}]}, "the window is larger"),
    ],
)
def test_layers_that_do_not_fit_the_data_are_refused(
    work: Callable[..., Work], fields: dict[str, Any], message: str
) -> None:
    with pytest.raises(StageError, match=message):
        pretrain(config(AUTOENCODER, **fields), work())


def test_labels_that_are_not_there_are_missed(work: Callable[..., Work], tmp_path: Path) -> None:
    with pytest.raises(StageError, match="pretraining by supervised needs labels"):
        pretrain(config({"kind": "supervised"}), work(data=labelled(tmp_path / "numbers", classes=0)))
