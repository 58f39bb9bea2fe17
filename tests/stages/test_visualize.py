from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nnpipe.errors import StageError
from nnpipe.models.architecture import Model
from nnpipe.plots.decision_boundary import DecisionBoundary
from nnpipe.plots.filters import Filters
from nnpipe.plots.learning_curves import LearningCurves
from nnpipe.stages.visualize import MOST_EXAMPLES, Visualize, subject_of, visualize
from nnpipe.stages.work import Work
from nnpipe.store.artifact import Artifact
from nnpipe.store.checkpoints import DiskCheckpoints
from nnpipe.store.store import Store

MODEL = Model.model_validate({"layers": [{"kind": "dense", "units": 3, "activation": "softmax"}]})
RECORD = {"epoch": 1, "loss": 1.0, "accuracy": 0.5, "val_loss": 1.1, "val_accuracy": 0.25}


class Bench:
    """A store, and a way to make artifacts of stages in it."""

    def __init__(self, root: Path) -> None:
        self.root, self.store = root, Store(root / "artifacts")
        self.store.prepare()
        self.inputs: dict[str, Artifact] = {}

    def make(self, stage: str, fill: Any) -> Artifact:
        with self.store.output(stage) as output:
            checkpoints = DiskCheckpoints(self.root / "checkpoints", 60)
            fill(Work(stage, self.inputs, output, seed=0, root=self.root, checkpoints=checkpoints))
            record = self.store.commit(output, stage, stage, {}, {})
        return self.store.artifact(record.artifact, record.made)


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    """Four-by-four images of three classes, and a network of one layer."""
    bench, rng = Bench(tmp_path), np.random.default_rng(0)
    labels = np.arange(9) % 3

    def data(work: Work) -> None:
        with work.output.arrays("data") as writer:
            for split in ("train", "test"):
                writer.allocate(f"X_{split}", (9, 1, 4, 4), "uint8")
                writer.append(f"X_{split}", rng.integers(0, 17, (9, 1, 4, 4)).astype(np.uint8))
                writer.allocate(f"y_{split}", (9,), "int64")
                writer.append(f"y_{split}", labels)
            names = ["a", "b", "c"]
            writer.attributes = {"input_shape": [1, 4, 4], "class_names": names, "value_range": [0, 16]}

    def model(work: Work) -> None:
        weight = rng.standard_normal((3, 16)).astype(np.float32)
        document = {
            "architecture": MODEL.model_dump(mode="json"),
            "input_shape": [1, 4, 4],
            "scaling": {"offset": 0.0, "scale": 16.0},
            "class_names": ["a", "b", "c"],
        }
        work.output.tensors("model", {"layers.0.weight": weight, "layers.0.bias": np.zeros(3, np.float32)}, document)
        work.output.json("history", {"records": [RECORD], "stopped": "epochs", "best_epoch": 1})

    def evaluation(work: Work) -> None:
        with work.output.arrays("predictions") as writer:
            writer.allocate("probabilities", (9, 3), "float32")
            writer.append("probabilities", rng.dirichlet(np.ones(3), 9).astype(np.float32))
        work.output.json("evaluation", {"confusion_matrix": [[2, 1, 0], [0, 3, 0], [1, 0, 2]]})

    for name, fill in (("data", data), ("model", model), ("evaluation", evaluation)):
        bench.inputs[name] = bench.make(name, fill)
    return bench


def test_every_picture_that_applies_is_drawn_where_none_is_named(bench: Bench) -> None:
    drawn = bench.make("visualize", lambda work: visualize(Visualize(model=MODEL, pictures=None), work))
    names = [
        "learning_curves", "error_surface", "confusion_matrix", "confusion_examples", "per_class", "roc_curves",
        "precision_recall_curves", "examples", "preferred_inputs", "attributions", "filters", "shift_curves",
    ]  # fmt: skip
    assert drawn.summary == {"pictures": names}
    listed = drawn.json("pictures")
    assert [entry["file"] for entry in listed] == [f"{name}.png" for name in names]
    for entry in listed:
        assert drawn.path(entry["file"]).read_bytes().startswith(b"\x89PNG")
        assert entry["title"]
        assert entry["caption"]
        assert entry["alt"]


def test_named_pictures_are_drawn_in_their_order_and_twice_if_named_twice(bench: Bench) -> None:
    config = Visualize(model=MODEL, pictures=(Filters(), LearningCurves(), Filters(scale="each")))
    drawn = bench.make("visualize", lambda work: visualize(config, work))
    assert drawn.summary["pictures"] == ["filters", "learning_curves", "filters_2"]
    assert drawn.path("filters.png").read_bytes() != drawn.path("filters_2.png").read_bytes()


def test_a_picture_may_have_a_name_and_a_title_of_its_own(bench: Bench) -> None:
    named = {"kind": "filters", "name": "slide_19", "title": "Slide 19: filters"}
    pictures = [named, {"kind": "filters", "name": "slide_19_2"}, named]
    drawn = bench.make(
        "visualize", partial(visualize, Visualize.model_validate({"model": MODEL, "pictures": pictures}))
    )
    assert drawn.summary["pictures"] == ["slide_19", "slide_19_2", "slide_19_3"]
    assert [entry["title"] for entry in drawn.json("pictures")] == [
        "Slide 19: filters",
        "Filters of the first layer",
        "Slide 19: filters",
    ]


def test_a_named_picture_that_does_not_apply_is_refused_with_what_it_needs(bench: Bench) -> None:
    config = Visualize(model=MODEL, pictures=(LearningCurves(), DecisionBoundary()))
    with pytest.raises(StageError, match="'decision_boundary' does not apply") as caught:
        bench.make("visualize", lambda work: visualize(config, work))
    assert str(caught.value.expected).startswith("data of two features and two classes")
    assert "inputs of shape 1 by 4 by 4, 3 classes" in str(caught.value)


def test_asking_for_no_picture_gives_none(bench: Bench) -> None:
    drawn = bench.make("visualize", lambda work: visualize(Visualize(model=MODEL, pictures=()), work))
    assert drawn.json("pictures") == []


def test_the_same_inputs_give_the_same_content(bench: Bench) -> None:
    config = Visualize(model=MODEL, pictures=(LearningCurves(),))
    first, second = (bench.make(name, lambda work: visualize(config, work)) for name in ("visualize", "again"))
    assert first.manifest.content == second.manifest.content


def test_the_subject_knows_what_training_was_measured_on(bench: Bench) -> None:
    seen: list[Any] = []
    bench.make("visualize", lambda work: seen.append(subject_of(work)))
    assert seen[0].watched == "test"
    assert seen[0].inputs.shape == (9, 1, 4, 4)
    assert len(seen[0].truth) <= MOST_EXAMPLES


def test_the_subject_has_the_snapshots_of_a_layer_that_kept_some(bench: Bench) -> None:
    def layer(work: Work, *, watched: bool) -> None:
        work.output.tensors("layer", {"weight": np.ones((3, 16), np.float32)}, {})
        work.output.json("history", [RECORD])
        if watched:
            kept = {"weight": np.ones((2, 3, 16), np.float16), "epoch": np.array([0, 1])}
            work.output.tensors("snapshots", kept)

    for number in (1, 2):
        bench.inputs[f"pretrain/{number}"] = bench.make(f"layer{number}", partial(layer, watched=number == 1))
    seen: list[Any] = []
    bench.make("visualize", lambda work: seen.append(subject_of(work)))
    first, second = seen[0].pretrained
    assert first.snapshots["epoch"].tolist() == [0, 1]
    assert second.snapshots is None


def test_pictures_left_out_are_written_out_so_that_their_code_counts() -> None:
    config = Visualize(model=MODEL, pictures=None)
    assert not config.chosen
    assert "decision_boundary" in [picture.kind for picture in config.pictures]
