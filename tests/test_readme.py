from __future__ import annotations

import json
import os
import re
import shlex
import tempfile
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from .reliability.sweeps.schedules import nnpipe, scheduled

ROOT = Path(__file__).parents[1]


def test_the_tree_in_the_readme_has_every_file_of_the_code() -> None:
    tree = (ROOT / "README.md").read_text().partition("## The code, file by file")[2].partition("## ")[0]
    stack: list[str] = []
    found = set()
    for indent, name in re.findall(r"^( *)([\w./]+) {2,}\S", tree, flags=re.MULTILINE):
        stack = [*stack[: len(indent) // 2], name.rstrip("/")]
        found.add("/".join(stack))
    files = [path for base in ("nnpipe", "flows") for path in (ROOT / base).rglob("*.py")]
    wanted = {path.relative_to(ROOT).as_posix() for path in files if path.name != "__init__.py"}
    assert {name for name in found if name.endswith(".py")} == wanted


def test_the_spec_in_the_readme_is_the_starter() -> None:
    readme = (ROOT / "README.md").read_text()
    assert (ROOT / "specs" / "digits.yaml").read_text().strip() in readme


def test_every_file_that_the_readme_links_to_is_there() -> None:
    for target in re.findall(r"\]\((?!https?:)([^)#]+)\)", (ROOT / "README.md").read_text()):
        assert (ROOT / target).exists(), target


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """In memory where that can be: making Prefect's database flushes often."""
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if os.access(memory, os.W_OK) else tmp_path) as name:
        yield Path(name)


def test_what_the_readme_says_of_leaving_it_running_happens(folder: Path) -> None:
    section = (ROOT / "README.md").read_text().partition("## Leave it running")[2].partition("\n## ")[0]
    served, listed, removed = (shlex.split(line) for line in re.findall(r"^\$ nnpipe schedule (.*)$", section, re.M))
    for name in re.findall(r"\S+\.yaml", section):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes((ROOT / name).read_bytes())
    # Not at night, at a port that is free, and without the training: the first stage alone.
    words = shlex.join(served).replace("--cron '0 3 * * *' --timezone Europe/Berlin", "--every 5s --until ingest")
    words = words.replace("--metrics-port 9100", "--metrics-port 0")

    with scheduled(folder, *shlex.split(words)) as schedule:
        schedule.wait(lambda: len(schedule.done()) >= 2, "two runs")
        where = schedule.told("metrics")[0]["url"]
        assert httpx.get(f"{where}/health", trust_env=False).json()["status"] == "ok"
        assert 'nnpipe_runs_total{outcome="done",spec="digits"}' in httpx.get(f"{where}/metrics", trust_env=False).text
        (row,) = json.loads(nnpipe(folder, "schedule", *listed, "--json"))["schedules"]
        assert nnpipe(folder, "schedule", *removed) == "removed digits\n"
        assert schedule.process.wait(60) == 0

    first, second = schedule.done()[:2]
    assert [stage["status"] for stage in (*first["stages"], *second["stages"])] == ["computed", "reused"]
    assert (row["name"], row["when"], row["state"]) == ("digits", "every 5s", "Completed")
    assert row["message"] == "nothing new: 1 stage reused"
    assert schedule.strange == []
