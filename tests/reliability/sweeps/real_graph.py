"""Small specs that do every kind of work that is resumed.

Two with every training kind (RBMs, a denoising autoencoder, fine-tuning with dropout, Adam and CG), and two that mostly
read, into HDF5 and into zarr.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterable
from pathlib import Path

from nnpipe.pipeline.execute import Execution
from nnpipe.pipeline.fingerprint import fingerprint
from nnpipe.pipeline.graph import stages_of
from nnpipe.pipeline.local import run_local
from nnpipe.pipeline.plan import make_plan
from nnpipe.pipeline.runtime import Runtime
from nnpipe.pipeline.spec import check_spec
from nnpipe.spec.document import Document
from nnpipe.store.memo import Memo
from nnpipe.store.store import Store

RBM = """\
version: 1
name: small-rbm
data: {source: digits, validation: 0.1}
model:
  layers:
    - {kind: dense, units: 24, activation: sigmoid}
    - {kind: dropout, rate: 0.3}
    - {kind: dense, units: 16, activation: sigmoid}
    - {kind: dense, units: 10, activation: softmax}
pretrain: {method: rbm, layers: 2, epochs: 10, batch_size: 20}
train: {optimizer: {kind: adam}, epochs: 15, batch_size: 20}
visualize: [learning_curves]
export: [safetensors]
"""
AUTOENCODER = """\
version: 1
name: small-autoencoder
data: {source: digits, validation: 0.1}
model:
  layers:
    - {kind: dense, units: 24, activation: sigmoid}
    - {kind: dense, units: 10, activation: softmax}
pretrain: {method: {kind: autoencoder, corruption: masking}, layers: 1, epochs: 10, batch_size: 20}
train: {optimizer: {kind: conjugate_gradient}, epochs: 8, batch_size: 100}
visualize: [learning_curves]
export: [safetensors]
"""
# A million points take half a second or more to read, so that kills fall into it; few are measured, which takes little.
READING = """\
version: 1
name: reading
data: {source: {kind: two_classes, samples: 1000000}, format: FORMAT, validation: 0.1, test: 1000}
model:
  layers:
    - {kind: dense, units: 1, activation: sigmoid}
train: {optimizer: {kind: sgd}, epochs: 1, batch_size: 1000000}
visualize: []
export: [safetensors]
"""
SPECS = {
    "rbm": RBM,
    "autoencoder": AUTOENCODER,
    "reading": READING.replace("FORMAT", "hdf5"),
    "reading-zarr": READING.replace("FORMAT", "zarr").replace("name: reading", "name: reading-zarr"),
}
DEFAULT = ("rbm", "autoencoder")
INTERVAL = 0.05  # seconds between checkpoints
USED = (
    "torch",
    "torch._dynamo",
    "sklearn.datasets",
    "sklearn.metrics",
    "matplotlib.figure",
    "jinja2",
    "ruamel.yaml",
    "h5py",
)
STAGES = ("ingest", "pretrain", "finetune", "evaluate", "visualize", "export", "report")


def load() -> None:
    """Import and parse what stages do, so that children do not have to; nothing is computed, no thread is started."""
    for name in (*USED, *(f"nnpipe.stages.{stage}" for stage in STAGES)):
        importlib.import_module(name)
    importlib.import_module("torch").set_num_threads(1)
    for name, text in SPECS.items():
        for stage in stages_of(check_spec(Document.parse(text, f"{name}.yaml"), (), Path())):
            fingerprint(stage, Memo(Path("none")))


def run(root: Path, specs: Iterable[str] = DEFAULT) -> dict[str, str]:
    """Run specs; the artifact of each stage by ``spec/stage``. Of a report, its content: its bytes tell times."""
    found = {}
    for name in specs:
        spec = check_spec(Document.parse(SPECS[name], f"{name}.yaml"), (), Path())
        plan = make_plan(spec, Store(root), root.parent)
        runtime = Runtime(device="cpu", threads=1, checkpoint_interval=INTERVAL)
        for stage in run_local(Execution(plan, runtime)).stages:
            found[f"{spec.name}/{stage.name}"] = stage.content if stage.name == "report" else stage.artifact
    return found
