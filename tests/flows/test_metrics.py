from __future__ import annotations

from pathlib import Path

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from flows import metrics as module
from flows.metrics import Metrics, answering
from nnpipe.errors import UsageError
from nnpipe.pipeline.run import Run
from nnpipe.store.store import Store

NETWORK = "ab" * 32


@pytest.fixture
def store(tmp_path: Path) -> Store:
    made = Store(tmp_path / "store")
    made.prepare()
    return made


def put_run(store: Store, name: str, status: str, accuracy: float, *, network: str = NETWORK) -> Run:
    stage = {"name": "finetune", "key": "k", "status": "computed", "seconds": 1.0, "artifact": network, "content": "c"}
    record = {
        "run": name, "spec": "digits", "status": status, "stages": [stage], "metrics": {"test_accuracy": accuracy},
        "report": None, "seconds": 2.5, "started": "2026-01-01T00:00:00+00:00",
    }  # fmt: skip
    store.runs.put(record)
    return Run.of_record(record, store)


def numbers(metrics: Metrics) -> dict[str, float]:
    """What Prometheus reads: the name and the labels but for the spec's -> the value."""
    found = {}
    for family in text_string_to_metric_families(metrics.text().decode()):
        for sample in family.samples:
            assert sample.labels["spec"] == "digits"
            labels = [value for name, value in sample.labels.items() if name != "spec"]
            found[" ".join([sample.name.removeprefix("nnpipe_"), *labels])] = sample.value
    return found


def test_runs_and_stages_are_counted_and_the_last_is_told(store: Store) -> None:
    metrics = Metrics("digits", store)
    metrics.ended("done", put_run(store, "20260101-000000-digits-1", "done", 0.9))
    metrics.ended("failed", put_run(store, "20260101-000001-digits-2", "failed", 0.8))
    metrics.ended("skipped")
    told = numbers(metrics)
    assert {name: value for name, value in told.items() if name.startswith("runs_total")} == {
        "runs_total done": 1,
        "runs_total failed": 1,
        "runs_total skipped": 1,
    }
    assert told["stages_total computed"] == 2
    assert (told["last_run_seconds"], told["metric test_accuracy"]) == (2.5, 0.8)
    assert told["last_run_timestamp_seconds"] >= told["last_success_timestamp_seconds"] > 1_700_000_000
    assert metrics.health()[1]["last_run"]["outcome"] == "failed"


def test_what_the_store_remembers_is_told_from_the_start(store: Store) -> None:
    put_run(store, "20260101-000000-digits-1", "done", 0.9)
    metrics = Metrics("digits", store)
    told = numbers(metrics)
    assert told["metric test_accuracy"] == 0.9
    assert told["last_success_timestamp_seconds"] == 1767225602.5
    assert "runs_total done" not in told


def test_the_champion_is_the_network_of_the_ref_whichever_came_last(store: Store) -> None:
    metrics = Metrics("digits", store)
    assert not [name for name in numbers(metrics) if name.startswith("champion")]
    put_run(store, "20260101-000000-digits-1", "done", 0.9)
    metrics.ended("done", put_run(store, "20260101-000001-digits-2", "done", 0.7, network="cd" * 32))
    store.refs["digits/champion"] = NETWORK
    told = numbers(metrics)
    assert (told["champion_metric test_accuracy"], told["metric test_accuracy"]) == (0.9, 0.7)
    store.refs["digits/champion"] = "cd" * 32
    assert numbers(metrics)["champion_metric test_accuracy"] == 0.7
    store.refs["digits/champion"] = "ef" * 32  # of which no record tells
    assert "champion_metric test_accuracy" not in numbers(metrics)


def test_health_is_bad_without_a_server_and_when_nobody_looks(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    metrics = Metrics("digits", store)
    metrics.looked(server=True)
    with answering(metrics, 0) as where:
        assert where is not None

        def get(path: str) -> httpx.Response:
            return httpx.get(where + path, trust_env=False)

        well = get("/health")
        assert (well.status_code, well.json()) == (
            200,
            {"status": "ok", "spec": "digits", "server": True, "last_run": None},
        )
        metrics.looked(server=False)
        ill = get("/health")
        assert (ill.status_code, ill.json()["status"]) == (503, "Prefect's server does not answer")
        assert 'nnpipe_prefect_up{spec="digits"} 0.0' in get("/metrics").text
        monkeypatch.setattr(module, "LATE", 0.0)
        assert get("/health").json()["status"] == "stuck"
        assert get("/nothing").status_code == 404


def test_a_port_that_is_taken_is_told(store: Store) -> None:
    metrics = Metrics("digits", store)
    with answering(metrics, 0) as where, pytest.raises(UsageError, match="cannot listen there") as caught:
        assert where is not None
        with answering(metrics, int(where.rpartition(":")[2])):
            pass
    assert "--metrics-port 0" in str(caught.value)
