from __future__ import annotations

import re
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.stats import binomtest

from nnpipe.plots.compared_curves import Course, draw_courses
from nnpipe.stages.report_comparison import Side, _compared, _fields, comparison, mcnemar
from nnpipe.stages.work import Work

from .test_report import HOSTILE, SPEC, Bench, Page

# Which of the nine test examples, whose classes are 0, 1, 2, 0, ..., each of two networks takes for class 2.
FIRST_WRONG, SECOND_WRONG = (0, 1), (0, 3, 4, 6)


def side(root: Path, name: str, wrong: tuple[int, ...], interval: list[float], **spec: Any) -> Side:
    bench = Bench(root)

    def evaluation(work: Work) -> None:
        truth = np.arange(9) % 3
        predicted = np.where(np.isin(np.arange(9), wrong), 2, truth)
        with work.output.arrays("predictions") as writer:
            writer.allocate("probabilities", (9, 3), "float32")
            writer.append("probabilities", np.eye(3, dtype=np.float32)[predicted])
        metrics = {"test_accuracy": 1 - len(wrong) / 9, "test_loss": 0.5}
        work.output.json("evaluation", {**metrics, "intervals": {"test_accuracy": interval}})
        work.output.summary["metrics"] = metrics

    def model(work: Work) -> None:
        given = bench.inputs["model"]
        work.output.tensors("model", *given.tensors("model"))
        records = [{"epoch": e, "loss": 1 / e, "val_loss": 2 / e} for e in (1, 2, 3)]
        work.output.json("history", {"records": records})
        work.output.summary = given.summary

    artifacts = {"ingest": bench.inputs["data"], "pretrain/1": bench.inputs["pretrain/1"]}
    artifacts |= {"finetune": bench.make("trained", model), "evaluate": bench.make("measured", evaluation)}
    artifacts |= {"visualize": bench.inputs["pictures"], "report": bench.inputs["exports"]}
    run = {"run": f"run-of-{name}", "started": "2026-01-02T03:04:05+00:00", "whole_spec": {**SPEC, **spec}}
    return Side(name, run, artifacts, f"objects/{name}/report.html")


@pytest.fixture
def sides(tmp_path: Path) -> list[Side]:
    one = side(tmp_path / "a", "one", FIRST_WRONG, [0.6, 1.0], seed=7)
    return [one, side(tmp_path / "b", HOSTILE, SECOND_WRONG, [0.4, 0.7], seed=8)]


def test_the_page_tells_what_differs_and_what_came_out(sides: list[Side]) -> None:
    html = comparison(sides)
    page = Page(html)
    for sentence in (
        "2 runs side by side: 1 field of their specs differ",
        "seed 7 8",
        "Accuracy 0.7778 0.6 to 1 0.5556 0.4 to 0.7 -0.2222 clear",
        f"one, {HOSTILE} 4 3 1 1 0.62",
        "run-of-one 2026-01-02 03:04:05 UTC report",
        "dense units 5, sigmoid, init auto · pretrained 5",
    ):
        assert sentence in page.text
    assert "<script" not in html
    assert {a["href"] for a in page.named("a")} >= {"objects/one/report.html", "#results", "#pictures"}


def test_pictures_of_one_kind_stand_side_by_side_with_identifiers_of_their_own(sides: list[Side]) -> None:
    page = Page(comparison(sides))
    identifiers = [a["id"] for _, a in page.elements if "id" in a]
    assert len(identifiers) == len(set(identifiers))
    assert {"picture-1-filters", "picture-2-filters", "plot-curves"} <= set(identifiers)
    fragments = {str(a["href"])[1:] for a in page.named("a") if str(a["href"]).startswith("#")}
    assert fragments <= set(identifiers)


def test_headings_follow_each_other(sides: list[Side]) -> None:
    levels = [int(tag[1]) for tag, _ in Page(comparison(sides)).elements if re.fullmatch(r"h\d", tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after - before <= 1 for before, after in pairwise(levels))


@pytest.mark.parametrize(("first", "second"), [(0, 0), (3, 3), (1, 9), (40, 12), (0, 2000)])
def test_mcnemars_test_is_scipys_of_a_fair_coin(first: int, second: int) -> None:
    expected = binomtest(first, first + second).pvalue if first + second else 1.0
    assert mcnemar(first, second) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize(
    ("a", "b", "apart"),
    [
        ((0.9, [0.8, 0.95]), (0.7, [0.6, 0.75]), True),
        ((0.9, [0.8, 0.95]), (0.7, [0.6, 0.91]), False),
        ((0.9, [0.6, 0.95]), (0.7, [0.6, 0.75]), False),
        ((0.9, None), (0.7, [0.6, 0.75]), None),
    ],
)
def test_a_difference_is_clear_where_each_value_lies_outside_the_others_interval(a: Any, b: Any, apart: Any) -> None:
    assert _compared(a[0], b[0], a[1], b[1])["apart"] is apart
    assert _compared(b[0], a[0], b[1], a[1])["apart"] is apart
    assert _compared(a[0], b[0], a[1], b[1])["difference"] == pytest.approx(-0.2)


def test_fields_are_told_one_by_one_and_components_of_other_kinds_as_a_whole() -> None:
    adam, sgd = {"rate": 0.1, "kind": "adam", "betas": None}, {"kind": "sgd", "rate": 0.1}
    one = {"name": "a", "epochs": 3, "optimizer": adam, "layers": [{"kind": "dense", "units": 3}], "same": [1, 2]}
    two = {**one, "name": "b", "epochs": 4, "optimizer": sgd, "layers": [{"kind": "dense", "units": 4}, sgd]}
    assert [tuple(field.values()) for field in _fields([one, two])] == [
        ("epochs", ["3", "4"]),
        ("optimizer", ["{kind: adam, rate: 0.1}", "{kind: sgd, rate: 0.1}"]),
        ("layers.0.units", ["3", "4"]),
        ("layers.1", ["null", "{kind: sgd, rate: 0.1}"]),
    ]


def test_curves_of_all_runs_are_in_one_plot_and_tell_their_points() -> None:
    long = Course("long", [{"epoch": e, "loss": 1 / e, "val_loss": 2 / e} for e in range(1, 9)])
    short = Course("short", [{"epoch": 1, "loss": 0.5}])
    drawn = draw_courses([long, short])
    assert drawn is not None
    assert "long: loss 0.25 after 8 epochs; short: loss 0.5 after 1 epoch" in drawn.caption
    (panel,) = drawn.figure.axes
    curves = [line for line in panel.lines if line.get_label() in ("long", "short")]
    assert [line.get_ydata()[-1] for line in curves] == [0.25, 0.5]
    assert len([line for line in panel.lines if line.get_gid()]) == 9


def test_runs_that_measured_nothing_alike_have_no_curves_in_common() -> None:
    assert draw_courses([Course("a", [{"epoch": 1, "loss": 1.0}]), Course("b", [{"epoch": 1, "error": 1.0}])]) is None
