"""What a run leaves in Prefect's UI, as Prefect's own API tells it."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import ArtifactFilter, ArtifactFilterFlowRunId
from prefect.client.schemas.objects import Artifact

from flows import artifacts as module
from flows.markdown import BARS, bars, key
from flows.train import run_prefect
from nnpipe.pipeline.execute import Execution
from nnpipe.pipeline.graph import Stage
from nnpipe.pipeline.plan import Plan, PlannedStage
from nnpipe.pipeline.run import Run
from nnpipe.pipeline.runtime import Runtime
from nnpipe.pipeline.spec import read_spec
from nnpipe.store.store import Store

STAGES = ("ingest", "pretrain/1", "finetune", "evaluate", "visualize", "export", "report")


@pytest.fixture(scope="module")
def left(prefect_server: str, recorded: Callable[..., Any]) -> Callable[..., dict[str, Artifact]]:
    """Key -> artifact of a flow run with so many tasks."""

    def left(run: str, tasks: int = len(STAGES)) -> dict[str, Artifact]:
        flow = recorded(run, tasks).flow
        chosen = ArtifactFilter(flow_run_id=ArtifactFilterFlowRunId(any_=[flow.id]))
        with get_client(sync_client=True) as client:
            return {artifact.key: artifact for artifact in client.read_artifacts(artifact_filter=chosen)}

    return left


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("store")


@pytest.fixture(scope="module")
def first(execution: Callable[..., Execution], store: Path, prefect_server: str) -> Run:
    return run_prefect(execution(store))


def test_every_stage_leaves_a_page_at_its_task_run_and_the_run_one_at_the_flow_run(
    first: Run, left: Callable[..., Any], recorded: Callable[..., Any]
) -> None:
    found, record = left(first.run), recorded(first.run, len(STAGES))
    assert set(found) == {"mini-run", *(key("mini", stage) for stage in STAGES)}
    for stage in STAGES:
        assert found[key("mini", stage)].task_run_id == record.tasks[stage].id
    assert found["mini-run"].task_run_id is None


def test_a_page_says_what_was_made_how_it_went_and_where_it_is(first: Run, left: Callable[..., Any]) -> None:
    (result,) = (stage for stage in first.stages if stage.name == "finetune")
    page = left(first.run)["mini-finetune"].data
    assert "610 parameters, 2 epochs: " in page
    assert "| status | computed |" in page
    assert re.search(r"\| took \| [\d.]+ m?s \|", page)
    assert f"| artifact | `{result.artifact[:16]}` |" in page
    assert f"| content | `{result.content[:16]}` |" in page
    assert f"\n    {first.artifact('finetune').directory.resolve()}\n" in page
    assert "[mini-report](../key/mini-report)" in page
    assert "| epochs 1 to 2 |" in page
    assert re.search(r"\| loss \| █▁ \| [\d.]+ \|", page)


def test_pictures_and_examples_stand_in_the_page(first: Run, left: Callable[..., Any]) -> None:
    found = left(first.run)
    assert "](data:image/png;base64," in found["mini-visualize"].data
    assert "## Learning curves" in found["mini-visualize"].data
    assert 'src="data:image/png;base64,' in found["mini-ingest"].data


def test_the_pages_of_the_report_and_of_the_run_tell_where_to_open_it(first: Run, left: Callable[..., Any]) -> None:
    found = left(first.run)
    assert first.report is not None
    for name in ("mini-report", "mini-run"):
        assert f"    {Path(first.report).resolve().as_uri()}" in found[name].data
    assert f"| Accuracy | {first.metrics['test_accuracy']:.4g} |" in found["mini-run"].data
    assert "| [pretrain/1](../key/mini-pretrain-1) | computed |" in found["mini-run"].data


def test_a_reused_stage_says_so_and_which_run_computed_it(
    first: Run, execution: Callable[..., Execution], store: Path, left: Callable[..., Any]
) -> None:
    second = run_prefect(execution(store, "train.epochs=1"))
    found = left(second.run)
    assert f"by run {first.run} |" in found["mini-ingest"].data
    assert "| status | reused: computed in " in found["mini-ingest"].data
    assert found["mini-ingest"].description == "ingest: reused"
    assert "| status | computed |" in found["mini-finetune"].data


@pytest.fixture
def executing(mini: Path, tmp_path: Path, prefect_server: str) -> Callable[[str], Execution]:
    """An execution of one fake stage."""

    def executing(does: str) -> Execution:
        import fake_stages

        stage = Stage("work 1", "fake_stages:fake", fake_stages.Fake(does=does), {}, seed=0)
        plan = Plan(read_spec(mini), Store(tmp_path), mini.parent, (PlannedStage(stage, "compute", None, None),))
        return Execution(plan, Runtime(device="cpu", threads=1))

    return executing


def test_a_long_stage_keeps_a_progress_bar_that_ends_full(
    executing: Callable[[str], Execution], left: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "LONG", 0.2)
    monkeypatch.setattr(module, "APART", 0.1)
    updates: list[tuple[float, str]] = []
    update = module.ArtifactUpdate

    def noted(data: float, description: str) -> Any:
        updates.append((time.monotonic(), description))
        return update(data=data, description=description)

    monkeypatch.setattr(module, "ArtifactUpdate", noted)
    execution = executing("learn")
    run_prefect(execution)
    progress = left(execution.name, 1)["mini-work-1-progress"]
    assert (progress.type, progress.data) == ("progress", 100)
    assert progress.description == "work 1: computed, 10 of 10 epochs, loss 0.1"
    assert 3 <= len(updates) <= 30
    assert all(after - before >= 0.09 for (before, _), (after, _) in pairwise(updates[:-1]))
    assert re.fullmatch(r"work 1: \d of 10 epochs, loss [\d.]+", updates[0][1])


def test_a_server_that_takes_no_artifacts_changes_nothing_and_is_told_once(
    executing: Callable[[str], Execution], monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def refused(*_: Any) -> None:
        raise ConnectionError("the server is gone")

    monkeypatch.setattr("prefect.client.orchestration.SyncPrefectClient.create_artifact", refused)
    assert run_prefect(executing("work")).status == "done"
    assert capfd.readouterr().err.splitlines() == [
        "Prefect's UI shows no more of this run, which goes on: the server is gone"
    ]


def test_a_server_that_does_not_answer_holds_a_run_up_for_a_moment_only(
    executing: Callable[[str], Execution], monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(module, "TIMEOUT", 0.5)
    monkeypatch.setattr("prefect.client.orchestration.SyncPrefectClient.create_artifact", lambda *_: time.sleep(4))
    began = time.monotonic()
    assert run_prefect(executing("work")).status == "done"
    assert time.monotonic() - began < 4
    assert "Prefect's UI shows no more of this run" in capfd.readouterr().err


def test_a_curve_in_a_line_goes_from_the_lowest_to_the_highest() -> None:
    assert bars([0.0, 1.0, 0.5]) == "▁█▅"
    assert bars([3.0, 3.0]) == "▁▁"
    long = bars([float(n) for n in range(1000)])
    assert (long[0], long[-1], len(long) <= 31) == (BARS[0], BARS[-1], True)
    assert list(long) == sorted(long)


@pytest.mark.parametrize(("name", "wanted"), [("a.b_c", "a-b-c-pretrain-1"), ("Ünï", "n-pretrain-1")])
def test_keys_are_what_prefect_takes(name: str, wanted: str) -> None:
    assert key(name, "pretrain/1") == wanted
