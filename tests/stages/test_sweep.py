from __future__ import annotations

import csv
from collections.abc import Sequence
from html.parser import HTMLParser
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nnpipe.plots import style
from nnpipe.plots.sweep import MOST_LINES, Line, Point, draw
from nnpipe.plots.sweep_curves import Curve, draw_curves
from nnpipe.stages.sweep import Outcome, SweepReport, sweep, template_digest
from nnpipe.stages.sweep_plots import Course, curves_of, lines_over, main_axis
from nnpipe.stages.sweep_table import Row, best, short_names, table, to_csv, told_measures
from nnpipe.stages.work import Work
from nnpipe.store.checkpoints import DiskCheckpoints
from nnpipe.store.record import Record
from nnpipe.store.store import Store

HOSTILE = "<script>alert('x')</script>"
RATE = "train.optimizer.learning_rate"
RUNS = [
    ({"seed": seed, RATE: rate, "shape": shape}, {"test_accuracy": 0.1 * seed + rate, "test_loss": 1 / (seed + 2)})
    for seed, rate, shape in product((0, 1, 2), (0.1, 0.01), ("wide", HOSTILE))
]


def test_the_table_is_the_one_that_numpy_makes() -> None:
    rows = table(RUNS, ("test_accuracy", "test_loss"))
    assert [tuple(row.values.values()) for row in rows] == [*product((0.1, 0.01), ("wide", HOSTILE))]
    for row in rows:
        values = np.array(
            [m["test_accuracy"] for v, m in RUNS if all(v[axis] == row.values[axis] for axis in row.values)]
        )
        told = row.measures["test_accuracy"]
        assert (told.n, told.mean) == (3, pytest.approx(values.mean(), abs=1e-15))
        assert told.std == pytest.approx(values.std(ddof=1), abs=1e-15)


def test_one_run_has_no_deviation_and_a_failed_one_counts_nothing() -> None:
    (row,) = table([({"seed": 0, "a": 1}, {"x": 0.5}), ({"seed": 1, "a": 1}, {})], ("x",))
    assert row.to_json() == {"a": 1, "x": {"mean": 0.5, "std": None, "n": 1}}
    (row,) = table([({"a": 1}, {})], ("x",))
    assert row.to_json() == {"a": 1, "x": {"mean": None, "std": None, "n": 0}}
    assert (str(row.measures["x"]), best([row], "x")) == ("-", None)


@pytest.mark.parametrize(
    ("measures", "told"),
    [
        (["test_loss", "test_accuracy", "test_macro_f1"], ("test_accuracy", "test_loss")),
        (["test_loss", "test_mean_absolute_error"], ("test_loss", "test_mean_absolute_error")),
        ([], ()),
    ],
)
def test_measures_that_are_told_unless_others_are_asked_for(measures: list[str], told: tuple[str, ...]) -> None:
    assert told_measures([{}, dict.fromkeys(measures, 0.0)]) == told


@pytest.mark.parametrize(("metric", "mean"), [("test_accuracy", 0.2), ("test_loss", pytest.approx(13 / 36))])
def test_the_best_row_has_the_largest_accuracy_or_the_smallest_loss(metric: str, mean: float) -> None:
    found = best(table(RUNS, ("test_accuracy", "test_loss")), metric)
    assert found is not None
    assert found.measures[metric].mean == pytest.approx(mean)


def test_the_table_as_csv_reads_back_in_all_digits() -> None:
    rows = table(
        [({"a": None, "seed": 0}, {"x": 1 / 3}), ({"a": {"kind": "sgd", "b": [1, True]}, "seed": 0}, {})], ("x",)
    )
    read = list(csv.reader(to_csv(rows).splitlines()))
    assert read[0] == ["a", "x_mean", "x_std", "x_n"]
    assert read[1] == ["null", repr(1 / 3), "", "1"]
    assert read[2] == ["{kind: sgd, b: [1, true]}", "", "", "0"]


@pytest.mark.parametrize(
    ("axes", "short"),
    [
        (["seed", RATE], ["seed", "learning_rate"]),
        (["train.epochs", "pretrain.epochs"], ["train.epochs", "pretrain.epochs"]),
        (["epochs", "train.epochs"], ["epochs", "train.epochs"]),
        (["model.layers.0.units", "model.layers.1.units"], ["0.units", "1.units"]),
        (["model.layers.0"], ["layers.0"]),
    ],
)
def test_names_of_axes_are_as_short_as_they_can_be(axes: list[str], short: list[str]) -> None:
    assert list(short_names(axes).values()) == short


# -- plots ---------------------------------------------------------------------------------------------------


def rows_of(*axes: tuple[str, list[Any]]) -> list[Row]:
    names, values = [name for name, _ in axes], [values for _, values in axes]
    runs = [
        (dict(zip(names, chosen, strict=True)), {"x": float(index)}) for index, chosen in enumerate(product(*values))
    ]
    return table(runs, ("x",))


@pytest.mark.parametrize(
    ("axes", "main"),
    [
        ([("a", ["p", "q"]), ("b", [1, 2])], "b"),
        ([("a", ["p", "q"]), ("b", [1])], "a"),
        ([("a", [True, False]), ("b", ["p", "q"])], "a"),
        ([("a", [1, None]), ("b", [3, 0.5])], "b"),
        ([("a", [1])], "a"),
    ],
)
def test_the_plot_is_over_the_first_axis_of_numbers_or_else_the_first(axes: Any, main: str) -> None:
    assert main_axis(rows_of(*axes), [name for name, _ in axes]) == main


def test_there_is_a_line_for_each_combination_of_the_other_axes() -> None:
    rows = rows_of(("a", [2, 1]), ("b", ["p", "q"]), ("c", [None]))
    lines = lines_over(rows, "x", "a", [1, 2], ["b", "c"])
    assert [(line.label, {place: point.mean for place, point in line.points.items()}) for line in lines] == [
        ("p, null", {0: 2.0, 1: 0.0}),
        ("q, null", {0: 3.0, 1: 1.0}),
    ]


def test_where_lines_are_many_the_best_come_first_and_the_caption_says_so() -> None:
    rows = rows_of(("a", [1, 2]), ("b", list(range(MOST_LINES + 3))))
    lines = lines_over(rows, "x", "a", [1, 2], ["b"])
    assert lines[0].label == str(MOST_LINES + 2)
    with style.applied():
        drawing = draw("x", "a", [1, 2], lines, "b", smaller=False)
    assert f"Of {len(lines)} lines only the best {MOST_LINES} are drawn." in drawing.caption


@pytest.mark.parametrize(
    ("values", "scale", "ticks"),
    [
        ([0.01, 0.1, 1.0], "log", ["0.01", "0.1", "1"]),
        ([2, 4], "linear", ["2", "4"]),
        (["p", "q"], "linear", ["p", "q"]),
    ],
)
def test_a_drawing_has_its_values_as_ticks_and_bars_of_one_deviation(values: Any, scale: str, ticks: list[str]) -> None:
    line = Line("tanh", {place: Point(0.5, 0.25, (0.25, 0.75)) for place in range(len(values))})
    with style.applied():
        drawing = draw("test_accuracy", "rate", values, [line], "activation", smaller=False)
        (axes,) = drawing.figure.axes
        assert axes.get_xscale() == scale
        assert [tick.get_text() for tick in axes.get_xticklabels()] == ticks
        (bars,) = axes.containers
        (segments,) = bars.lines[2]
        assert [segment[:, 1].tolist() for segment in segments.get_segments()] == [[0.25, 0.75]] * len(values)
        assert style.png(drawing.figure).startswith(b"\x89PNG")
    assert "one standard deviation" in drawing.caption
    assert f"The largest mean, 0.5, is at rate {values[0]}, of tanh." in drawing.caption


def course(label: str, seed: int, *losses: float) -> Course:
    return Course({"a": label, "seed": seed}, range(1, len(losses) + 1), losses)


def test_there_is_a_curve_for_each_combination_with_all_its_seeds_and_their_geometric_mean() -> None:
    courses = [course("p", 0, 8, 4), course("p", 1, 2, 1, 0.5), course("q", 0, 1, 1), course("still", 0, 3)]
    first, second = curves_of(courses, ["a"])
    assert (first.label, list(first.epochs), first.losses) == ("p", [1, 2, 3], [(8, 4), (2, 1, 0.5)])
    assert first.mean == pytest.approx([4, 2, 0.5])
    assert (second.label, second.mean) == ("q", [1, 1])


def test_a_mean_of_losses_that_may_be_zero_or_less_is_the_plain_one() -> None:
    assert Curve("", [1], [[0.0], [1.0]]).mean == [0.5]


@pytest.mark.parametrize(
    ("losses", "scales"),
    [
        ([[1, 0.5], [1, 0.4]], ("linear", "linear")),
        ([[1, 0.01], [1, 0.4]], ("linear", "log")),
        ([[1, 0.0], [1, 0.4]], ("linear", "linear")),
        ([[1, 0.5], [1.0] * 250], ("log", "linear")),
    ],
)
def test_curves_have_logarithmic_axes_where_they_go_far(losses: Any, scales: tuple[str, str]) -> None:
    curves = [Curve(f"run {len(each)}", range(1, len(each) + 1), [each]) for each in losses]
    with style.applied():
        drawing = draw_curves(curves, "algorithm")
        (axes,) = drawing.figure.axes
        assert (axes.get_xscale(), axes.get_yscale()) == scales
        assert [line.get_xydata()[-1, 1] for line in axes.lines] == pytest.approx([each[-1] for each in losses])
    assert f"run 2: {losses[0][-1]:.3g} after 2 epochs" in drawing.caption


def test_epochs_of_a_short_sweep_are_whole_numbers() -> None:
    with style.applied():
        drawing = draw_curves([Curve("", [1, 2, 3], [[3.0, 2.0, 1.0]])], "algorithm")
        (axes,) = drawing.figure.axes
        assert all(float(tick).is_integer() for tick in axes.get_xticks())


# -- the artifact --------------------------------------------------------------------------------------------


class Page(HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())


def made(
    root: Path, times: str = "now", runs: Sequence[tuple[dict[str, Any], dict[str, float]]] = RUNS, failing: int = 0
) -> tuple[Store, Record]:
    """A sweep's artifact over ``runs``; of the last ``failing`` there are no measures."""
    store, inputs = Store(root), {}
    store.prepare()
    outcomes = []
    for number, (values, measures) in enumerate(runs, start=1):
        failed = number > len(runs) - failing
        outcomes.append(Outcome(values=tuple(values.values()), failed="training diverged" if failed else None))
        if failed:
            continue
        for word in ("evaluation", "network", "report"):
            with store.output(f"{number}{word}") as output:
                if word == "network":
                    output.json("history", {"records": [{"epoch": e, "loss": number / e} for e in (1, 2)]})
                if word == "report":
                    output.file("report.html", times.encode(), content=b"")
                output.summary = {"metrics": measures, "number": number}
                record = store.commit(output, f"{number:03}{word}", word, {}, {})
            inputs[f"run-{number}/{word}"] = store.artifact(record.artifact)
    config = SweepReport(
        name="points",
        description=HOSTILE,
        spec={"name": "points", "matrix": {"shape": ["wide", HOSTILE]}},
        axes=tuple(RUNS[0][0]),
        runs=tuple(outcomes),
        metrics=("test_accuracy", "test_loss"),
        template=template_digest(),
    )
    with store.output("sweep") as output:
        work = Work("sweep", inputs, output, 0, Path(), DiskCheckpoints(store.workplace("sweep"), 1))
        sweep(config, work)
        return store, store.commit(output, "sweep", "sweep", {}, {})


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[Store, Record]:
    return made(tmp_path_factory.mktemp("whole"))


def test_the_report_has_the_table_the_plots_the_runs_and_the_matrix(whole: tuple[Store, Record]) -> None:
    store, record = whole
    artifact = store.artifact(record.artifact)
    page = Page(artifact.path("report.html").read_text())
    for sentence in (
        "4 combinations of learning_rate and shape, each run with seeds 0, 1 and 2: 12 runs.",
        "The largest mean test accuracy, 0.2, has learning_rate 0.1 , shape wide",
        "0.2000 ± 0.1000",
        "Test loss by learning_rate",
        "Training loss by epoch",
        "nnpipe sweep points.yaml",
    ):
        assert sentence in page.text
    assert [tag for tag, _ in page.elements].count("figure") == 3
    assert artifact.json("table")[0]["test_accuracy"] == {"mean": pytest.approx(0.2), "std": pytest.approx(0.1), "n": 3}
    assert artifact.path("table.csv").read_text() == to_csv(table(RUNS, ("test_accuracy", "test_loss")))


def test_every_link_leads_somewhere_and_nothing_is_loaded_or_run(whole: tuple[Store, Record]) -> None:
    store, record = whole
    folder = store.directory(record.artifact)
    html = (folder / "report.html").read_text()
    page = Page(html)
    identifiers = {attributes["id"] for _, attributes in page.elements if "id" in attributes}
    links = [str(attributes["href"]) for tag, attributes in page.elements if tag == "a"]
    assert all(link[1:] in identifiers if link.startswith("#") else (folder / link).is_file() for link in links)
    assert sum(link.endswith("report.html") for link in links) == len(RUNS)
    assert "<script" not in html
    assert "default-src 'none'" in html
    assert all(str(attributes["src"]).startswith("data:") for tag, attributes in page.elements if tag == "img")


def test_where_reports_lie_changes_no_content(tmp_path: Path) -> None:
    times = {"a": "now", "b": "later", "c": "now"}
    (_, first), (_, later), (_, again) = (made(tmp_path / name, when, RUNS[:2]) for name, when in times.items())
    assert first.content == later.content
    assert first.artifact != later.artifact
    assert first.artifact == again.artifact


def test_a_run_that_failed_is_told_with_its_reason(tmp_path: Path) -> None:
    store, record = made(tmp_path, failing=2)
    page = Page((store.directory(record.artifact) / "report.html").read_text())
    assert "12 runs, of which 2 failed." in page.text
    assert page.text.count("failed: training diverged") == 2
    assert store.artifact(record.artifact).summary == {"runs": 12, "failed": 2}
