"""Deployments: what Prefect is told to run, when, and how mistakes are told."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
from prefect.client.schemas.objects import ConcurrencyLimitStrategy
from prefect.flows import load_flow_from_entrypoint
from prefect.settings import PREFECT_API_URL, temporary_settings

from flows.deployment import _main, deployment, serve
from nnpipe.errors import NnpipeError, SpecError, UsageError


def test_a_deployment_runs_the_spec_at_its_time(mini: Path, tmp_path: Path) -> None:
    made = deployment(
        mini,
        cron="0 3 * * *",
        timezone="Europe/Berlin",
        store=tmp_path,
        overrides=["train.epochs=3"],
        until="evaluate",
        force=["finetune"],
        device="cpu",
    )
    assert f"{made.flow_name}/{made.name}" == "train/mini"
    (schedule,) = made.schedules
    assert (schedule.schedule.cron, schedule.schedule.timezone) == ("0 3 * * *", "Europe/Berlin")
    assert made.parameters == {
        "spec": str(mini),
        "store": str(tmp_path),
        "overrides": ["train.epochs=3"],
        "until": "evaluate",
        "force": ["finetune"],
        "device": "cpu",
    }


def test_an_interval_is_in_seconds(mini: Path) -> None:
    (schedule,) = deployment(mini, interval=90).schedules
    assert schedule.schedule.interval == timedelta(seconds=90)


def test_without_a_schedule_it_is_started_by_hand(mini: Path) -> None:
    assert not deployment(mini).schedules


def test_only_one_run_of_a_deployment_at_a_time(mini: Path) -> None:
    made = deployment(mini)
    assert made.concurrency_limit == 1
    assert made.concurrency_options.collision_strategy == ConcurrencyLimitStrategy.CANCEL_NEW


def test_the_entrypoint_is_the_flow_and_takes_these_parameters(mini: Path, prefect_server: str) -> None:
    made = deployment(mini, cron="0 3 * * *")
    flow = load_flow_from_entrypoint(made.entrypoint)
    assert flow.name == "train"
    assert flow.validate_parameters(made.parameters)["spec"] == str(mini)
    assert set(flow.parameters.properties) == set(made.parameters)
    assert all("description" in field for field in flow.parameters.properties.values())


def test_relative_paths_are_of_the_folder_where_it_was_made(mini: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(mini.parent)
    parameters = deployment(Path("mini.yaml")).parameters
    assert parameters["spec"] == str(mini)
    assert parameters["store"] == str(mini.parent / "artifacts")


@pytest.mark.parametrize(
    ("schedule", "said"),
    [
        ({"cron": "0 3 * *"}, "not a cron schedule"),
        ({"cron": "0 3 * * *", "interval": 60}, "two schedules"),
        ({"cron": "0 3 * * *", "timezone": "Europe/Berln"}, "no such time zone"),
        ({"interval": 0}, "not positive"),
    ],
)
def test_a_wrong_schedule_is_refused(mini: Path, schedule: dict[str, object], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        deployment(mini, **schedule)


def test_a_wrong_spec_is_refused_when_it_is_deployed(tmp_path: Path) -> None:
    spec = tmp_path / "wrong.yaml"
    spec.write_text("version: 1\nname: wrong\nmodle: 3\n")
    with pytest.raises(SpecError, match="modle"):
        deployment(spec, cron="0 3 * * *")


def test_serving_needs_a_server_that_stays_up(mini: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with temporary_settings(restore_defaults={PREFECT_API_URL}), pytest.raises(SystemExit) as ended:
        _main(mini, cron="0 3 * * *")
    assert ended.value.code == 2
    assert "prefect server start" in capsys.readouterr().err


def test_serving_with_a_server_that_is_away_is_refused(mini: Path) -> None:
    away = {PREFECT_API_URL: "http://127.0.0.1:9/api"}
    with temporary_settings(away), pytest.raises(NnpipeError, match="does not answer"):
        serve(deployment(mini, cron="0 3 * * *"))
