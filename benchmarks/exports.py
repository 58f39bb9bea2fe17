"""Export a network trained on MNIST to every format, and run each file in the program that it is made for.

    python -m benchmarks.exports --store artifacts mnist-convnet [--examples 10000]

Each file is given MNIST's test images (from NNPIPE_DATA/mnist), in batches of 1, 3 and 64 and then all of them; printed
are its size, the largest difference of its outputs from the network's, of how many images it says another class, its
accuracy, and the seconds for all images. ONNX is run by ONNX Runtime, a torch program by torch, Keras's two formats by
Keras on torch in a process where there is no nnpipe; weights alone by nnpipe. There, Keras trains the network on, too.
The exit status is 1 where an exact format is off by more than 1e-5 or in one class, or Keras does not learn.

tests/exporters has two specs to train, every_layer.yaml and beyond_keras.yaml, with every kind of layer between them.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from nnpipe.datasets.idx import open_idx
from nnpipe.errors import NnpipeError
from nnpipe.exporters import every_exporter
from nnpipe.exporters.exporter import Context, Exporter, computed_by
from nnpipe.exporters.model_card import model_card
from nnpipe.models.architecture import Model
from nnpipe.models.network import Network, load_network
from nnpipe.pipeline.trained import model_artifact
from nnpipe.store.store import Store

TOLERANCE, BATCHES, LARGE = 1e-5, (1, 3, 64), 250
CALIBRATION, LEARNED = 1000, 512  # training images: for formats that are not exact, and for Keras to learn from

IN_KERAS = """
import json, sys, time
import numpy as np
sys.modules["nnpipe"] = None
import keras
file, given, made = sys.argv[1:]
model = keras.models.load_model(file, compile=False)
with np.load(given) as arrays:
    started = time.perf_counter()
    outputs = {name: model.predict_on_batch(arrays[name]) for name in arrays.files if name.isdigit()}
    seconds = time.perf_counter() - started
    x, y = arrays["x"], arrays["y"]
np.savez(made, **outputs)
model.compile(optimizer=keras.optimizers.Adam(1e-3), loss="sparse_categorical_crossentropy")
losses = model.fit(x, y, epochs=3, batch_size=32, verbose=0).history["loss"]
print(json.dumps({"seconds": seconds, "losses": losses}))
"""


@dataclass(frozen=True)
class Digits:
    """Images as the network wants them, (n, *input_shape) float32, and their labels, (n,)."""

    x: np.ndarray
    y: np.ndarray

    @classmethod
    def read(cls, split: str, count: int, network: Network) -> Digits:
        """The first ``count`` of MNIST's images of ``split``, train or t10k."""
        folder = Path(os.environ.get("NNPIPE_DATA", "")) / "mnist"
        images = next(open_idx(folder / f"{split}-images-idx3-ubyte.gz", (3,)).blocks(count))
        labels = next(open_idx(folder / f"{split}-labels-idx1-ubyte.gz", (1,)).blocks(count))
        return cls(network.scaling.apply(images.reshape(-1, *network.input_shape)), labels.astype(np.int64))

    def batches(self) -> Iterator[np.ndarray]:
        """The first 1, 3 and 64, and then all, some at a time."""
        yield from (self.x[:size] for size in BATCHES)
        yield from (self.x[start : start + LARGE] for start in range(0, len(self.x), LARGE))


@dataclass(frozen=True)
class Row:
    """What came of one format. learned: the losses of Keras's epochs, where Keras trained it on."""

    kind: str
    exact: bool
    size: int
    difference: float
    other_classes: int
    accuracy: float
    seconds: float
    learned: Sequence[float] = ()

    @property
    def right(self) -> bool:
        same = self.difference <= TOLERANCE and not self.other_classes
        return (same or not self.exact) and (not self.learned or self.learned[-1] < 0.9 * self.learned[0])

    def __str__(self) -> str:
        told = f"{self.kind:14}{self.size:>11,}{self.difference:>12.2g}{self.other_classes:>9}{self.accuracy:>10.4f}"
        learned = "".join(f" {loss:.4f}" for loss in self.learned)
        return f"{told}{self.seconds:>9.2f}  {'' if self.right else 'WRONG '}{learned and f'Keras learns on:{learned}'}"


def measured(
    exporter: Exporter, network: Network, expected: Sequence[np.ndarray], test: Digits, train: Digits, path: Path
) -> Row | str:
    """Write and run one file; or the reason why the format cannot hold this network."""
    try:
        exporter.write(network, path, Context(model_card(network), train.x[:CALIBRATION]))
    except NnpipeError as error:
        return error.what
    learned: Sequence[float] = ()
    if exporter.kind.startswith("keras"):
        found, seconds, learned = in_keras(path, test, train)
    else:
        run = exporter.load(path, network.architecture)
        assert run is not None
        started = time.perf_counter()
        found = [run(batch) for batch in test.batches()]
        seconds = time.perf_counter() - started
    difference = max(float(np.abs(ours - theirs).max()) for ours, theirs in zip(expected, found, strict=True))
    ours, theirs = (np.concatenate(outputs[len(BATCHES) :]).argmax(1) for outputs in (expected, found))
    return Row(
        kind=exporter.kind,
        exact=getattr(exporter, "exact", True),
        size=path.stat().st_size,
        difference=difference,
        other_classes=int((ours != theirs).sum()),
        accuracy=float((theirs == test.y).mean()),
        seconds=seconds,
        learned=learned,
    )


def in_keras(path: Path, test: Digits, train: Digits) -> tuple[list[np.ndarray], float, list[float]]:
    """Outputs by batches, seconds for them, and the losses while it trains on; images channels last."""
    given, made = path.with_suffix(".given.npz"), path.with_suffix(".made.npz")
    batches: dict[str, Any] = {str(number): np.moveaxis(batch, 1, -1) for number, batch in enumerate(test.batches())}
    np.savez(given, x=np.moveaxis(train.x[:LEARNED], 1, -1), y=train.y[:LEARNED], **batches)
    environment = {**os.environ, "KERAS_BACKEND": "torch", "CUDA_VISIBLE_DEVICES": ""}
    command = [sys.executable, "-c", IN_KERAS, *map(str, (path, given, made))]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(done.stderr)
    told = json.loads(done.stdout.splitlines()[-1])
    with np.load(made) as outputs:
        return [outputs[str(number)] for number in range(len(batches))], told["seconds"], told["losses"]


def main() -> None:
    """Export, run, and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("ref")
    parser.add_argument("--store", type=Path, default=Path("artifacts"))
    parser.add_argument("--examples", type=int, default=10_000)
    options = parser.parse_args()
    tensors, about = model_artifact(Store(options.store), options.ref).tensors("model")
    network = load_network(tensors, about, Model.model_validate(about["architecture"]))  # the store is one's own
    test, train = Digits.read("t10k", options.examples, network), Digits.read("train", CALIBRATION, network)
    started = time.perf_counter()
    expected = [computed_by(network)(batch) for batch in test.batches()]
    seconds = time.perf_counter() - started
    accuracy = float((np.concatenate(expected[len(BATCHES) :]).argmax(1) == test.y).mean())
    print(f"{options.ref}: {len(test.x):,} test images, accuracy {accuracy:.4f}, {seconds:.2f} s in torch")
    print(f"{'format':14}{'bytes':>11}{'difference':>12}{'classes':>9}{'accuracy':>10}{'seconds':>9}")
    right = True
    with tempfile.TemporaryDirectory() as folder:
        for exporter in every_exporter().values():
            row = measured(exporter, network, expected, test, train, Path(folder) / exporter.filename)
            print(f"{exporter.kind:14}{row}" if isinstance(row, str) else row, flush=True)
            right &= isinstance(row, str) or row.right
    sys.exit(not right)


if __name__ == "__main__":
    main()
