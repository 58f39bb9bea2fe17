"""Four stages without torch that write to a store in every way there is: one run takes a hundredth of a second."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from nnpipe.store.array_writer import ArrayWriter
from nnpipe.store.canonical import JSON, digest
from nnpipe.store.checkpoints import DiskCheckpoints
from nnpipe.store.output import Output
from nnpipe.store.record import Record
from nnpipe.store.store import Store

INPUTS: dict[str, tuple[str, ...]] = {"data": (), "layer": ("data",), "model": ("data", "layer"), "report": ("model",)}


def open_store(root: Path) -> Store:
    """The store at ``root``, made if need be."""
    store = Store(root)
    store.prepare()
    return store


def run(root: Path, seed: int = 0) -> dict[str, str]:
    """Compute what is not there; the artifact id of each stage.

    ``seed`` changes every stage but the first, as a spec's does.
    """
    store = open_store(root)
    records: dict[str, Record] = {}
    for stage, inputs in INPUTS.items():
        contents = {name: records[name].content for name in inputs}
        records[stage] = obtain(store, stage, {"inputs": contents, "seed": seed if inputs else 0})
    store.refs["cheap/latest"] = records["model"].artifact
    store.runs.put({"run": store.runs.name("cheap"), "stages": sorted(records)})
    store.memo.put("cheap", seed)
    store.remember()
    return {stage: record.artifact for stage, record in records.items()}


def obtain(store: Store, stage: str, ingredients: JSON) -> Record:
    """Find a stage or compute it under its lock, as an execution does."""
    recipe = {"stage": stage, **ingredients}
    key = digest("nnpipe/recipe/1", recipe)
    with store.lock(key):
        found = store.find(key)
        if found:
            return found
        with store.output(key) as output:
            fill(output, recipe, DiskCheckpoints(store.workplace(key), 0.0))
            return store.commit(output, key, stage, recipe, {"seconds": 0.0})


def fill(output: Output, recipe: JSON, checkpoints: DiskCheckpoints | None = None) -> None:
    """Fill an output with all kinds of payload, a function of ``recipe`` alone."""
    generator = np.random.default_rng(int(digest("tests/seed", recipe)[:8], 16))
    values = generator.standard_normal((40, 30), dtype=np.float32)
    if checkpoints is not None and recipe["inputs"]:
        values = _trained(values, checkpoints)
    output.tensors("model", {"weight": values, "bias": values[0]}, recipe)
    if checkpoints is not None and not recipe["inputs"]:
        with output.arrays("data", "hdf5", checkpoints.scratch) as writer:
            _read(values, writer, checkpoints)
    else:
        with output.arrays("data", "hdf5") as writer:
            writer.allocate("X", values.shape, np.float32)
            writer.append("X", values)
    output.json("history", [recipe])
    output.file("pictures/one.png", values.tobytes()[:500])
    output.summary["largest"] = float(values.max())


def _read(values: np.ndarray, writer: ArrayWriter, checkpoints: DiskCheckpoints) -> None:
    """Write rows in four parts that go on from the last checkpoint, as ingestion does."""
    for waiting, document in checkpoints.newest_first():
        if writer.resume(waiting, document["written"]):
            done = document["row"]
            break
    else:
        writer.allocate("X", values.shape, np.float32)
        done = 0
    for start in range(done, len(values), 10):
        writer.append("X", values[start : start + 10])
        waiting, written = writer.state()
        checkpoints.save(waiting, {"row": start + 10, "written": written})


def _trained(values: np.ndarray, checkpoints: DiskCheckpoints) -> np.ndarray:
    """Three steps that go on from the last checkpoint."""
    found = checkpoints.load()
    values, done = (found[0]["values"], found[1]) if found else (values, 0)
    for step in range(done, 3):
        values = values * np.float32(0.5) + np.float32(step)
        checkpoints.save({"values": values}, step + 1)
    return values
