"""Deployments: what Prefect is told to run, when, and how mistakes are told."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
from prefect.client.orchestration import get_client
from prefect.flows import load_flow_from_entrypoint

from flows.deployment import deployment, describe, register, remove, scheduled
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


def test_a_last_stage_that_is_not_there_is_refused_when_it_is_deployed(mini: Path) -> None:
    with pytest.raises(UsageError, match="'evalute'"):
        deployment(mini, cron="0 3 * * *", until="evalute")


@pytest.mark.parametrize("name", ["a/b", "50%", " ", "train.py"])
def test_a_name_that_prefect_would_refuse_or_change_is_refused(mini: Path, name: str) -> None:
    with pytest.raises(UsageError, match="not a name for a schedule"):
        deployment(mini, cron="0 3 * * *", name=name)


@pytest.mark.parametrize(
    ("seconds", "told"),
    [(30, "every 30s"), (900, "every 15m"), (21600, "every 6h"), (86400, "every 1d"), (90, "every 90s")],
)
def test_an_interval_is_told_as_it_is_given(mini: Path, seconds: int, told: str) -> None:
    (schedule,) = deployment(mini, interval=seconds).schedules
    assert describe(schedule.schedule) == told


def test_registering_again_changes_nothing_and_registering_something_else_updates_it(
    mini: Path, prefect_server: str
) -> None:
    first, new = register(deployment(mini, name="again", cron="0 3 * * *", timezone="Europe/Berlin"))
    assert new
    assert register(deployment(mini, name="again", cron="0 3 * * *", timezone="Europe/Berlin")) == (first, False)
    assert register(deployment(mini, name="again", interval=60)) == (first, True)
    assert register(deployment(mini, name="again", interval=60)) == (first, False)
    with get_client(sync_client=True) as client:
        there = client.read_deployment(first)
    assert [describe(each.schedule) for each in there.schedules] == ["every 1m"]
    assert there.work_queue_name is None
    remove("again")


def test_what_is_scheduled_is_listed_until_it_is_removed(mini: Path, prefect_server: str) -> None:
    register(deployment(mini, name="listed", cron="0 3 * * *"))
    (found,) = [each for each in scheduled() if each.name == "listed"]
    assert (found.when, found.spec, found.paused, found.last) == ("0 3 * * * UTC", str(mini), False, None)
    with pytest.raises(UsageError, match="no schedule 'lister'") as caught:
        remove("lister")
    assert "'listed'" in str(caught.value)
    remove("listed")
    assert not [each for each in scheduled() if each.name == "listed"]


def test_a_work_pool_that_is_not_there_is_named_with_how_to_make_it(mini: Path, prefect_server: str) -> None:
    with pytest.raises(NnpipeError, match="refuses the schedule") as caught:
        register(deployment(mini, name="for workers", cron="0 3 * * *", work_pool="gpus"))
    assert "prefect work-pool create --type process gpus" in str(caught.value)
