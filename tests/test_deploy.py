"""What deploy/ names is there, and its commands are commands: as far as can be told without a container engine."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from inspect import signature
from pathlib import Path
from typing import Any

import pytest
import typer
from prefect.settings import Settings
from ruamel.yaml import YAML

from flows.deployment import deployment
from flows.train import train
from nnpipe.cli import application

ROOT = Path(__file__).parents[1]
DEPLOY = ROOT / "deploy"


def read(name: str) -> Any:
    return YAML(typ="safe").load(DEPLOY / name)


def commands() -> Iterator[list[str]]:
    """Every command line of nnpipe and Prefect in deploy/."""
    texts = [
        " ".join(service["command"]) for service in read("compose.yaml")["services"].values() if "command" in service
    ]
    (default,) = re.findall(r"^CMD (\[.*\])$", (DEPLOY / "Dockerfile").read_text(), re.M)
    texts.append(" ".join(YAML(typ="safe").load(default)))
    texts += re.findall(r"^#   (prefect .*)$", (DEPLOY / "prefect.yaml").read_text(), re.M)
    texts += re.findall(r"^\$ docker .*? (nnpipe (?:ls|schedule|gc).*)$", (DEPLOY / "README.md").read_text(), re.M)
    for text in texts:
        for part in text.removeprefix("sh -c ").split("&&"):
            words = shlex.split(part)
            yield words[words.index("nnpipe") :] if "nnpipe" in words and words[0] == "docker" else words


def test_the_services_and_volumes_that_are_named_are_there() -> None:
    compose = read("compose.yaml")
    services = compose["services"]
    for name, service in services.items():
        assert set(service.get("depends_on", {})) <= set(services), name
        for needed, how in service.get("depends_on", {}).items():
            assert how["condition"] != "service_healthy" or "healthcheck" in services[needed], name
        for volume in service.get("volumes", ()):
            source = volume.partition(":")[0]
            assert source in compose["volumes"] or (DEPLOY / source).is_dir(), volume
        if "build" in service:
            context = DEPLOY / service["build"]["context"]
            assert (context / service["build"]["dockerfile"]).is_file()


def test_worker_and_schedule_share_the_store_and_the_specs() -> None:
    services = read("compose.yaml")["services"]
    for name in ("worker", "schedule"):
        assert {"store:/store", "../specs:/app/specs:ro"} <= set(services[name]["volumes"])
        assert services[name]["environment"]["PREFECT_API_URL"] == "http://server:4200/api"


def test_what_the_image_is_made_of_is_there_and_the_wheel_needs_no_more() -> None:
    text = (DEPLOY / "Dockerfile").read_text()
    copied = {word for line in re.findall(r"^COPY (.*)$", text, re.M) for word in line.split()[:-1]}
    assert all((ROOT / word).exists() for word in copied)
    assert {"nnpipe", "flows", "specs", "pyproject.toml", "README.md", "LICENSE", "constraints.txt"} <= copied


def test_every_setting_of_prefect_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    services = read("compose.yaml")["services"].values()
    given = {name: str(value) for service in services for name, value in service.get("environment", {}).items()}
    prefects = {name: value for name, value in given.items() if name.startswith("PREFECT_")}
    assert len(prefects) >= 5
    for name, value in prefects.items():
        monkeypatch.setenv(name, value)
    known = Settings().to_environment_variables(exclude_unset=True, include_aliases=True)
    assert set(prefects) <= set(known)


def test_every_command_of_nnpipe_is_one() -> None:
    verbs = typer.main.get_command(application())
    found = [words for words in commands() if words[0] == "nnpipe"]
    assert len(found) >= 6
    for _, verb, *words in found:
        command = verbs.get_command(None, verb)  # type: ignore[attr-defined, arg-type]
        assert command is not None, verb
        command.make_context(verb, words)  # which refuses what it does not know


def test_every_command_of_prefect_is_one() -> None:
    from prefect.cli._app import _app

    found = [words for words in commands() if words[0] == "prefect"]
    assert len(found) >= 4
    for _, *words in found:
        options = [word for word in words if word not in ("--no-prompt",)]
        _app.parse_args(options, exit_on_error=False, print_error=False)


def test_the_file_for_prefect_deploy_says_what_the_compose_file_registers() -> None:
    (given,) = read("prefect.yaml")["deployments"]
    file, _, name = given["entrypoint"].partition(":")
    assert (ROOT / file).is_file()
    assert name == train.fn.__name__
    assert set(given["parameters"]) <= set(signature(train.fn).parameters)
    spec = ROOT / Path(given["parameters"]["spec"]).relative_to("/app")
    (words,) = [words for words in commands() if words[:2] == ["nnpipe", "schedule"] and "--work-pool" in words]
    assert spec == ROOT / words[2]
    (schedule,) = given["schedules"]
    assert (schedule["cron"], schedule["timezone"]) == (
        words[words.index("--cron") + 1],
        words[words.index("--timezone") + 1],
    )
    assert given["work_pool"]["name"] == words[words.index("--work-pool") + 1]
    assert deployment(spec, cron=schedule["cron"], timezone=schedule["timezone"]).name == given["name"]
