"""One Prefect server for all tests of the flows, in a home of its own."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import FlowRunFilter
from prefect.client.schemas.objects import FlowRun, TaskRun
from prefect.settings import (
    PREFECT_API_URL,
    PREFECT_FLOWS_HEARTBEAT_FREQUENCY,
    PREFECT_HOME,
    PREFECT_SERVER_DATABASE_CONNECTION_URL,
    temporary_settings,
)

from flows.server import prefect_api
from flows.server_process import SHUTDOWN_SECONDS, TemporaryServer
from nnpipe.pipeline.execute import Execution
from nnpipe.pipeline.plan import make_plan
from nnpipe.pipeline.runtime import Runtime
from nnpipe.pipeline.spec import read_spec
from nnpipe.store.store import Store

MINI = """
version: 1
name: mini
data: {source: {kind: digits}}
model:
  layers:
    - {kind: flatten}
    - {kind: dense, units: 8, activation: sigmoid}
    - {kind: dense, units: 10, activation: softmax}
pretrain: {method: {kind: rbm}, layers: 1, epochs: 1, batch_size: 100, optimizer: {kind: sgd, learning_rate: 0.1}}
train: {loss: cross_entropy, optimizer: {kind: adam}, epochs: 2, batch_size: 100}
visualize: [learning_curves]
"""


@pytest.fixture(scope="session")
def prefect_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("prefect")


@pytest.fixture(scope="session")
def own_prefect(prefect_home: Path) -> dict[Any, Any]:
    """Settings of Prefect that are of these tests alone."""
    return {
        PREFECT_HOME: prefect_home,
        PREFECT_SERVER_DATABASE_CONNECTION_URL: "sqlite+aiosqlite:///:memory:",  # made sooner than a file
        PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None,  # as ``prefect_api`` has it for a server that ends with this process
    }


@pytest.fixture(scope="session")
def server_url(own_prefect: dict[Any, Any]) -> Iterator[str]:
    """The URL of a temporary server."""
    with temporary_settings(own_prefect, restore_defaults={PREFECT_API_URL}):
        server = TemporaryServer()
    server.answered()
    yield server.url
    ending = time.monotonic()
    server.stop()
    assert time.monotonic() - ending < SHUTDOWN_SECONDS, "the server did not end with its input: it was killed"


@pytest.fixture(scope="module")
def prefect_server(server_url: str, own_prefect: dict[Any, Any]) -> Iterator[str]:
    """The URL of a temporary server, which Prefect uses until the last test of a file: other files start without."""
    with temporary_settings({**own_prefect, PREFECT_API_URL: server_url}), prefect_api():
        yield server_url


@pytest.fixture(scope="session")
def mini(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file of a small spec with every stage."""
    path = tmp_path_factory.mktemp("specs") / "mini.yaml"
    path.write_text(MINI)
    return path


@pytest.fixture(scope="session", autouse=True)
def fakes() -> Iterator[None]:
    """Let stages be named ``fake_stages:fake``."""
    sys.path.insert(0, str(Path(__file__).parent))
    yield
    sys.path.remove(str(Path(__file__).parent))


@pytest.fixture(scope="session")
def execution(mini: Path) -> Callable[..., Execution]:
    def execution(store: Path, *overrides: str, **options: Any) -> Execution:
        plan = make_plan(read_spec(mini, overrides), Store(store), mini.parent, **options)
        return Execution(plan, Runtime(device="cpu", threads=1))

    return execution


@dataclass
class Recorded:
    """What Prefect's server knows: a flow run, and its task runs by name."""

    flow: FlowRun
    tasks: dict[str, TaskRun]

    @property
    def states(self) -> dict[str, str | None]:
        return {name: task.state_name for name, task in self.tasks.items()}


@pytest.fixture(scope="module")
def recorded(prefect_server: str) -> Callable[[str, int], Recorded]:
    """The record of the flow run ``name``, once all its ``tasks`` ended: the server writes it in the background."""

    def recorded(name: str, tasks: int) -> Recorded:
        deadline = time.monotonic() + 60
        with get_client(sync_client=True) as client:
            while time.monotonic() < deadline:
                (flow,) = client.read_flow_runs(flow_run_filter=FlowRunFilter(name={"any_": [name]}))
                runs = client.read_task_runs(flow_run_filter=FlowRunFilter(id={"any_": [flow.id]}))
                ended = [run for run in runs if run.state and (run.state.is_final() or run.state.name == "NotReady")]
                if len(ended) == tasks:
                    return Recorded(flow, {_stage(run): run for run in ended})
                time.sleep(0.2)
        raise AssertionError(f"after a minute the server knows {[(run.name, run.state_name) for run in runs]}")

    return recorded


def _stage(run: TaskRun) -> str:
    # A task that never started keeps the name that Prefect gave it: the stage's and three characters.
    return run.name.rpartition("-")[0] if run.state_name == "NotReady" else run.name
