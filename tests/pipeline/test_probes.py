"""Probes as stages: one for the input and one for each pretrained layer."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest
from sklearn.neighbors import KNeighborsClassifier

from nnpipe.errors import SpecError
from nnpipe.pipeline.run import Run
from nnpipe.pipeline.spec import check_spec
from nnpipe.spec.document import Document
from nnpipe.store.store import Store

from .conftest import computed, miniature, run

PROBED = ("probe={examples: 200, neighbours: 3}", "visualize=null")


@pytest.fixture(scope="module")
def probed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Store, Run]:
    store = Store(tmp_path_factory.mktemp("probed") / "artifacts")
    return store, run(store, *PROBED)


def test_there_is_a_probe_of_the_input_and_of_each_pretrained_layer(probed: tuple[Store, Run]) -> None:
    _, first = probed
    found = [first.artifact(f"probe/{number}").json("probe") for number in range(3)]
    assert [(probe["layer"], probe["features"]) for probe in found] == [(0, 64), (1, 12), (2, 10)]
    assert {(probe["examples"], probe["neighbours"]) for probe in found} == {(200, 3)}
    assert found[0]["linear_accuracy"] > 0.85


def test_neighbours_of_all_examples_are_scikit_learns(probed: tuple[Store, Run]) -> None:
    store, _ = probed
    whole = run(store, "probe=true", until="probe/1")
    found = whole.artifact("probe/1").json("probe")
    with closing(whole.artifact("ingest").arrays("data")) as data:
        y, truth = (data.rows(name, 0, data.shape(name)[0]) for name in ("y_train", "y_test"))
    with closing(whole.artifact("pretrain/1").arrays("representation")) as layer:
        x, new = (layer.rows(name, 0, layer.shape(name)[0]) for name in ("H_train", "H_test"))
    assert found["examples"] == len(x)
    assert found["neighbour_accuracy"] == pytest.approx(KNeighborsClassifier(5).fit(x, y).score(new, truth))


def test_probes_stand_in_the_report_and_change_nothing_of_the_network(probed: tuple[Store, Run]) -> None:
    store, first = probed
    assert "probes" in first.artifact("visualize").summary["pictures"]
    assert first.report is not None
    report = " ".join(Path(first.report).read_text().split())
    accuracy = first.artifact("probe/2").summary["linear_accuracy"]
    assert f"{accuracy:.2%}" in report
    assert "the same 200 labelled training examples" in report
    run(store, PROBED[0], "visualize=[probes]")
    again = computed(run(store, "probe={examples: 100}", "visualize=[probes]"))
    assert again == ["probe/0", "probe/1", "probe/2", "visualize", "report"]


def test_probes_are_there_if_asked_for_and_draw_the_same_examples_for_every_layer() -> None:
    from nnpipe.pipeline.graph import stages_of

    assert not any(stage.name.startswith("probe/") for stage in stages_of(miniature()))
    seeds = {stage.seed for stage in stages_of(miniature(*PROBED)) if stage.name.startswith("probe/")}
    assert len(seeds) == 1


def test_probes_of_numbers_are_refused() -> None:
    text = """\
version: 1
name: sine
data: {source: {kind: function, function: sine, samples: 300}}
model: {layers: [{kind: dense, units: 1}]}
probe: {}
train: {loss: mean_squared_error}
"""
    with pytest.raises(SpecError, match="probes tell classes, and the data's answers are numbers"):
        check_spec(Document.parse(text, "sine.yaml"), (), Path())
