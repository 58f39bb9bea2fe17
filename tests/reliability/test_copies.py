from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from nnpipe.store.store import Store

from .sweeps import cheap_graph
from .sweeps.soundness import problems


def test_two_stores_copied_into_one_are_a_valid_store_that_both_runs_reuse(tmp_path: Path) -> None:
    first, second = cheap_graph.run(tmp_path / "a", seed=1), cheap_graph.run(tmp_path / "b", seed=2)
    assert first["data"] == second["data"]
    assert first["model"] != second["model"]
    both = tmp_path / "both"
    for store in ("a", "b"):
        subprocess.run(["cp", "-r", f"{tmp_path / store}/.", both], check=True)
    assert problems(Store(both)) == []
    before = made_by(Store(both))
    assert cheap_graph.run(both, seed=1) == first
    assert cheap_graph.run(both, seed=2) == second
    assert made_by(Store(both)) == before
    assert len(before) == 7  # four stages each, and the data only once


def test_a_store_merged_into_itself_is_what_it_was(tmp_path: Path) -> None:
    cheap_graph.run(tmp_path / "a")
    shutil.copytree(tmp_path / "a", tmp_path / "b")
    shutil.copytree(tmp_path / "a", tmp_path / "b", dirs_exist_ok=True)
    assert problems(Store(tmp_path / "b")) == []
    assert made_by(Store(tmp_path / "a")) == made_by(Store(tmp_path / "b"))


def test_a_copy_that_broke_off_is_told_as_damage_or_computed_again(tmp_path: Path) -> None:
    expected = cheap_graph.run(tmp_path / "a")
    shutil.copytree(tmp_path / "a", tmp_path / "b")
    for broken in ("model", "report"):
        shutil.rmtree(Store(tmp_path / "b").directory(expected[broken]))
    assert sorted(problem.partition(": ")[2] for problem in problems(Store(tmp_path / "b"))) == [
        "its artifact is not there",
        "its artifact is not there",
        "the artifact it points at is not there",
    ]
    assert cheap_graph.run(tmp_path / "b") == expected
    assert problems(Store(tmp_path / "b")) == []


def made_by(store: Store) -> dict[str, object]:
    """Recipe -> how it came about: unchanged only if nothing was computed again."""
    return {path.name: path.read_bytes() for path in (store.root / "recipes").glob("??/*.json")}
