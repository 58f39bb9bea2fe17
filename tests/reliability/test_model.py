"""The store against a dictionary: whatever is done to one in whatever order, the other tells the same."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from nnpipe.errors import CorruptionError
from nnpipe.store.canonical import digest
from nnpipe.store.collect import Policy, collect
from nnpipe.store.output import Output
from nnpipe.store.store import Store

from .sweeps.soundness import damage_of_artifact

SEEDS, VARIANTS = st.integers(0, 2), st.integers(0, 1)
WHOLE, DAMAGED = "whole", "damaged"
NOTHING_ELSE = Policy(keep_runs=0, grace=-1.0)  # is kept but what refs reach, however new it is


def fill(output: Output, seed: int) -> None:
    output.tensors("model", {"weight": np.full((3, 2), seed, np.float32)})
    output.json("history", [{"epoch": 1, "loss": seed}])
    output.summary["seed"] = seed


def recipe_of(seed: int, variant: int) -> dict[str, object]:
    return {"stage": "model", "seed": seed, "variant": variant}


class StoreMachine(RuleBasedStateMachine):
    """The model: recipe key -> artifact id, and artifact id -> whether it is whole.

    A recipe is a seed and a variant; the payload is of the seed alone, so two recipes share each artifact.
    """

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        self.copies = 0
        self.store = Store(self.folder / "artifacts-0")
        self.store.prepare()
        self.recipes: dict[str, str] = {}
        self.artifacts: dict[str, str] = {}
        self.refs: dict[str, str] = {}

    def teardown(self) -> None:
        shutil.rmtree(self.folder)

    @rule(seed=SEEDS, variant=VARIANTS)
    def put(self, seed: int, variant: int) -> None:
        recipe = recipe_of(seed, variant)
        key = digest("nnpipe/recipe/1", recipe)
        with self.store.lock(key), self.store.output(key) as output:
            fill(output, seed)
            record = self.store.commit(output, key, "model", recipe, {})
        self.recipes[key] = record.artifact
        self.artifacts[record.artifact] = WHOLE
        assert not self.store.workplace(key).exists()

    @rule(seed=SEEDS, variant=VARIANTS)
    def find(self, seed: int, variant: int) -> None:
        key = digest("nnpipe/recipe/1", recipe_of(seed, variant))
        found, expected = self.store.find(key), self.recipes.get(key)
        assert (found.artifact if found else None) == (expected if expected in self.artifacts else None)

    @rule(seed=SEEDS, dead=st.booleans())
    def abandon(self, seed: int, dead: bool) -> None:
        """An output that fails, or whose writer dies and cannot clear it away."""
        key = digest("nnpipe/recipe/1", recipe_of(seed, 0))
        with pytest.raises(RuntimeError, match="half way"), self.store.output(key) as output:
            fill(output, seed)
            if dead:
                shutil.copytree(output.directory, self.folder / "left")
            raise RuntimeError("half way")
        if dead:
            shutil.rmtree(self.store.workplace(key), ignore_errors=True)
            self.store.workplace(key).mkdir(parents=True)
            (self.folder / "left").rename(self.store.workplace(key) / "output-dead")

    @precondition(lambda self: WHOLE in self.artifacts.values())
    @rule(
        data=st.data(),
        name=st.sampled_from(["manifest.json", "model.safetensors", "history.json", "stranger"]),
        harm=st.sampled_from(["flip", "cut", "remove"]),
    )
    def corrupt(self, data: st.DataObject, name: str, harm: str) -> None:
        whole = sorted(id_ for id_, state in self.artifacts.items() if state == WHOLE)
        id_ = data.draw(st.sampled_from(whole))
        path = self.store.directory(id_) / name
        if name == "stranger":
            path.write_bytes(b"not of this artifact")
            self._refuse_strangers(id_)
            return
        before = path.read_bytes()
        place = data.draw(st.integers(0, len(before) - 1))
        if harm == "remove" and name != "manifest.json":
            path.unlink()
        else:
            flipped = before[:place] + bytes([before[place] ^ 1]) + before[place + 1 :]
            path.write_bytes(before[:place] if harm == "cut" else flipped)
        self.artifacts[id_] = DAMAGED

    def _refuse_strangers(self, id_: str) -> None:
        """Verification tells of a file that the artifact does not have; reading never meets it."""
        assert len(damage_of_artifact(self.store, id_)) == 1
        assert self.store.sound(id_)
        (self.store.directory(id_) / "stranger").unlink()

    @precondition(lambda self: self.artifacts)
    @rule(data=st.data())
    def quarantine(self, data: st.DataObject) -> None:
        id_ = data.draw(st.sampled_from(sorted(self.artifacts)))
        moved = self.store.quarantine(id_)
        assert moved.is_dir()
        del self.artifacts[id_]

    @precondition(lambda self: self.artifacts)
    @rule(data=st.data(), name=st.sampled_from(["model/latest", "pins/thesis"]))
    def point(self, data: st.DataObject, name: str) -> None:
        self.refs[name] = self.store.refs[name] = data.draw(st.sampled_from(sorted(self.artifacts)))
        assert self.store.refs[name] == self.refs[name]

    @rule()
    def collect(self) -> None:
        """What no ref points at goes, whole or damaged, with the recipes that found it; all else stays."""
        told = collect(self.store, NOTHING_ELSE, dry_run=True)
        done = collect(self.store, NOTHING_ELSE)
        assert [item.path for item in done.garbage] == [item.path for item in told.garbage]
        kept = set(self.refs.values())
        self.recipes = {key: id_ for key, id_ in self.recipes.items() if id_ in kept}
        self.artifacts = {id_: state for id_, state in self.artifacts.items() if id_ in kept}

    @rule()
    def read(self) -> None:
        """What is read is what was written, or an error."""
        for id_, state in self.artifacts.items():
            try:
                artifact = self.store.artifact(id_)
                weights, _ = artifact.tensors("model")
                seed = artifact.json("history")[0]["loss"]
            except CorruptionError:
                assert state == DAMAGED
            else:
                np.testing.assert_array_equal(weights["weight"], np.full((3, 2), seed, np.float32))
                assert state == WHOLE

    @rule()
    def copy(self) -> None:
        """Go on with a copy; the original is gone."""
        self.copies += 1
        root = self.folder / f"artifacts-{self.copies}"
        shutil.copytree(self.store.root, root)
        shutil.rmtree(self.store.root)
        self.store.remember()
        self.store = Store(root)

    @invariant()
    def verification_tells_exactly_the_damaged(self) -> None:
        assert self.store.artifacts() == sorted(self.artifacts)
        for id_, state in self.artifacts.items():
            assert bool(damage_of_artifact(self.store, id_)) == (state == DAMAGED)
            assert self.store.sound(id_) == (state == WHOLE)


TestStoreMachine = StoreMachine.TestCase
TestStoreMachine.settings = settings(
    max_examples=25,
    stateful_step_count=20,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.too_slow],
)
