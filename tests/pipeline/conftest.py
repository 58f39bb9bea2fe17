from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest

from nnpipe.pipeline.execute import Execution
from nnpipe.pipeline.local import run_local
from nnpipe.pipeline.plan import Plan, make_plan
from nnpipe.pipeline.run import Run
from nnpipe.pipeline.runtime import Runtime
from nnpipe.pipeline.spec import Spec, check_spec
from nnpipe.spec.document import Document
from nnpipe.store.store import Store

MINIATURE = """\
version: 1
name: miniature
data: {source: digits, validation: 0.1}
model:
  layers:
    - {kind: dense, units: 12, activation: sigmoid}
    - {kind: dense, units: 10, activation: sigmoid}
    - {kind: dense, units: 10, activation: softmax}
pretrain: {method: rbm, layers: 2, epochs: 1, batch_size: 100}
train: {optimizer: {kind: adam}, epochs: 2, batch_size: 100}
visualize: [learning_curves]
export: [safetensors]
"""


def miniature(*overrides: str) -> Spec:
    """A small spec with every stage, in well under a second of computing."""
    return check_spec(Document.parse(MINIATURE, "miniature.yaml"), overrides, Path())


def plan(store: Store, *overrides: str, until: str | None = None, force: Iterable[str] = ()) -> Plan:
    return make_plan(miniature(*overrides), store, Path(), until=until, force=force)


def run(store: Store, *overrides: str, **options: Any) -> Run:
    return run_local(Execution(plan(store, *overrides, **options), Runtime(device="cpu", threads=1)))


def statuses(run: Run) -> dict[str, str]:
    return {stage.name: stage.status for stage in run.stages}


def computed(run: Run) -> list[str]:
    return [stage.name for stage in run.stages if stage.status != "reused"]


@pytest.fixture(scope="session")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store in which the miniature was run once."""
    root = tmp_path_factory.mktemp("filled") / "artifacts"
    run(Store(root))
    return root


@pytest.fixture
def fresh(filled: Path, tmp_path: Path) -> Callable[[], Store]:
    """A copy of the filled store: copying a store is all it takes to have another."""

    def copy() -> Store:
        shutil.copytree(filled, tmp_path / "artifacts")
        return Store(tmp_path / "artifacts")

    return copy


@pytest.fixture
def store(fresh: Callable[[], Store]) -> Store:
    return fresh()
