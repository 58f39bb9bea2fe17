"""The built wheel, used outside the checkout: what a user of ``pip install`` has."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that holds the wheel's files and nothing of the checkout."""
    place = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(place), str(ROOT)]
    subprocess.run(build, check=True, capture_output=True)
    (wheel,) = place.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(place / "site")
    return place / "site"


def nnpipe(installed: Path, folder: Path, *words: str) -> str:
    # -P keeps the current folder off the path, so that nothing of the checkout can be imported by chance.
    code = f"import sys; sys.path.insert(0, {str(installed)!r}); from nnpipe.cli import main; sys.exit(main())"
    environment = {**os.environ, "PYTHONPATH": str(installed)}
    done = subprocess.run(
        [sys.executable, "-P", "-c", code, *words], cwd=folder, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_wheel_has_the_flows_the_starters_and_the_templates(installed: Path) -> None:
    names = {path.relative_to(installed).as_posix() for path in installed.rglob("*")}
    assert {
        "flows/train.py",
        "flows/deployment.py",
        "nnpipe/py.typed",
        "nnpipe/starters/digits.yaml",
        "nnpipe/starters/mnist_dbn.yaml",
        "nnpipe/stages/templates/report.html.jinja",
        "nnpipe/stages/comparison.html.jinja",
        "nnpipe/stages/index.html.jinja",
    } <= names
    assert {path.relative_to(ROOT).as_posix() for path in (ROOT / "nnpipe").rglob("*.py")} <= names
    assert not [name for name in names if name.startswith(("tests", "docs", "artifacts", "specs"))]


def test_a_user_of_the_wheel_gets_starters_and_runs_one(installed: Path, tmp_path: Path) -> None:
    assert "digits.yaml" in nnpipe(installed, tmp_path, "init")
    small = ["pretrain.epochs=1", "train.epochs=1", "visualize=[learning_curves, filters]"]
    words = [word for override in small for word in ("--set", override)]
    out = nnpipe(installed, tmp_path, "run", "specs/digits.yaml", *words, "--engine", "local", "--threads", "1")
    assert "8 computed" in out
    assert (tmp_path / "artifacts" / "refs" / "digits" / "latest").is_file()
