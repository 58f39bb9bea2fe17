"""Data that do not fit into memory: the same artifacts, and how much memory there is."""

from __future__ import annotations

import resource
from pathlib import Path

import pytest
import torch

from nnpipe.errors import Interrupted
from nnpipe.pipeline import memory
from nnpipe.pipeline.execute import Execution
from nnpipe.pipeline.local import run_local
from nnpipe.pipeline.plan import Plan
from nnpipe.pipeline.run import Run
from nnpipe.pipeline.runtime import Runtime
from nnpipe.store.store import Store
from nnpipe.training.examples import Examples
from nnpipe.training.file_examples import FileExamples

from .conftest import plan, run
from .test_reuse import CONVOLUTIONAL, StopAt

SMALL = 20_000  # bytes: less than any split of the digits has, but for a file of representations of 10 units
ENCODER = (
    "model={unroll: true, layers: [{kind: dense, units: 12, activation: sigmoid}, {kind: dense, units: 6}]}",
    "pretrain={method: autoencoder, epochs: 1}",
    "train={loss: binary_cross_entropy, epochs: 2}",
)
JOINED = ("pretrain.joint={kind: deep_boltzmann_machine, epochs: 1, likelihood: {runs: 4, temperatures: 5}}",)
FEW = ("train.examples=200", "train.augmentation=[{kind: shift, pixels: 1}]", "train.shuffle=blocks")
DROPPING = (
    "model.layers=[{kind: conv2d, filters: 4, kernel: 3, activation: relu}, flatten, {kind: dropout, rate: 0.3},"
    "{kind: dense, units: 10, activation: softmax}]",
    "pretrain=null",
    "train.shuffle={kind: blocks, block: 50, buffer: 4}",
)


def limited(planned: Plan, size: int = SMALL) -> Run:
    return run_local(Execution(planned, Runtime(device="cpu", threads=1, memory=size)))


@pytest.fixture
def places(monkeypatch: pytest.MonkeyPatch) -> list[type]:
    """What examples are made of, as they are made."""
    found: list[type] = []

    def noted(kind: type[Examples]) -> None:
        make = kind.__init__

        def init(self: Examples, *args: object, **options: object) -> None:
            found.append(kind)
            make(self, *args, **options)  # type: ignore[arg-type]

        monkeypatch.setattr(kind, "__init__", init)

    noted(Examples)
    noted(FileExamples)
    return found


@pytest.mark.parametrize(
    ("form", "overrides"),
    [
        ("hdf5", ()),
        ("zarr", CONVOLUTIONAL[:-1]),
        ("zarr", ENCODER),
        ("hdf5", JOINED),
        ("zarr", FEW),
        ("hdf5", DROPPING),
    ],
    ids=["rbm", "convolutional", "autoencoder", "joint", "few", "dropout"],
)
def test_every_artifact_is_the_same_whether_examples_fit_or_not(
    tmp_path: Path, places: list[type], overrides: tuple[str, ...], form: str
) -> None:
    overrides = (*overrides, f"data.format={form}")
    fitting = run(Store(tmp_path / "fitting"), *overrides, until="evaluate")
    in_files = places.count(FileExamples)
    done = limited(plan(Store(tmp_path / "limited"), *overrides, until="evaluate"))
    assert places.count(FileExamples) >= 2 * in_files + 2
    assert [(s.name, s.key, s.artifact) for s in done.stages] == [(s.name, s.key, s.artifact) for s in fitting.stages]


@pytest.mark.parametrize("stage", ["pretrain/1", "finetune"])
def test_a_stage_that_was_interrupted_goes_on_with_another_limit(tmp_path: Path, filled: Path, stage: str) -> None:
    store = Store(tmp_path / "artifacts")
    execution = Execution(plan(store), Runtime(device="cpu", threads=1, memory=0, checkpoint_interval=0))
    execution.observer = StopAt(execution, stage, 1)
    with pytest.raises(Interrupted):
        run_local(execution)
    done = limited(plan(store), 10**9)
    assert {s.name: s.status for s in done.stages}[stage] == "resumed"
    assert done.artifact("finetune").id == run(Store(filled)).artifact("finetune").id


def test_another_order_is_another_recipe(store: Store) -> None:
    assert plan(store)["finetune"].status == "reuse"
    assert plan(store, "train.shuffle=full")["finetune"].status == "reuse"
    assert plan(store, "train.shuffle=blocks")["finetune"].status == "compute"
    blocks = plan(store, "pretrain.per_layer.2.shuffle=blocks")
    assert [blocks[name].status for name in ("pretrain/1", "pretrain/2")] == ["reuse", "compute"]


# -- how much memory there is --------------------------------------------------------------------------------


@pytest.mark.parametrize(("limit", "name"), [(resource.RLIMIT_DATA, "VmData"), (resource.RLIMIT_AS, "VmSize")])
def test_a_limit_of_the_process_counts(limit: int, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    used = {line.split(":")[0]: line for line in Path("/proc/self/status").read_text().splitlines()}
    taken = int(used[name].split()[1]) * 1024
    unlimited = (resource.RLIM_INFINITY, resource.RLIM_INFINITY)
    most = taken + (100 << 20)
    monkeypatch.setattr(resource, "getrlimit", lambda which: (most, most) if which == limit else unlimited)
    assert memory.free_memory() == pytest.approx(100 << 20, rel=0.1)
    assert memory.memory_for_examples("cpu") == pytest.approx(25 << 20, rel=0.1)
    monkeypatch.setattr(resource, "getrlimit", lambda _: (taken - 1, taken - 1))
    assert memory.free_memory() == 0


@pytest.mark.parametrize(
    ("line", "folder", "limit", "usage", "prefix"),
    [
        ("0::/a/b", "", "memory.max", "memory.current", ""),
        ("4:cpu,memory:/a/b", "memory", "memory.limit_in_bytes", "memory.usage_in_bytes", "total_"),
    ],
    ids=["version 2", "version 1"],
)
def test_the_tightest_control_group_counts_without_what_the_page_cache_holds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, line: str, folder: str, limit: str, usage: str, prefix: str
) -> None:
    for name, most in (("", "max"), ("a", str(50 << 20)), ("a/b", str(1 << 62))):
        group = tmp_path / folder / name
        group.mkdir(parents=True, exist_ok=True)
        (group / limit).write_text(f"{most}\n")
        (group / usage).write_text(f"{30 << 20}\n")
        statistics = {"anon": 9 << 20, f"{prefix}inactive_file": 15 << 20, f"{prefix}active_file": 5 << 20}
        (group / "memory.stat").write_text("".join(f"{name} {value}\n" for name, value in statistics.items()))
    (tmp_path / "names").write_text(f"5:pids:/a\n{line}\n")
    monkeypatch.setattr(memory, "GROUPS", tmp_path)
    monkeypatch.setattr(memory, "GROUP_NAMES", tmp_path / "names")
    assert memory.free_memory() == 40 << 20
    (tmp_path / "names").write_text("4:memory:/not/shown/here\n0::/\n")
    assert memory.free_memory() > 40 << 20


def test_the_memory_of_a_gpu_counts_where_it_computes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (8 << 20, 80 << 20))
    assert memory.memory_for_examples("cuda") == 2 << 20
    assert memory.memory_for_examples("cpu") > 2 << 20
    assert Runtime(memory=7).resolve_memory("cuda") == 7
