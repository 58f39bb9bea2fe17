"""The stage that sets the runs of a sweep side by side: a table, plots, one HTML file that links to their reports."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from nnpipe.plots import words as reading
from nnpipe.plots.sweep import MOST_LINES, Line, Point
from nnpipe.spec import Part
from nnpipe.spec.matrix import MATRIX, SEED
from nnpipe.spec.words import words
from nnpipe.stages.report import TEMPLATES
from nnpipe.stages.report_spec import spec_text
from nnpipe.stages.sweep_table import Row, best, decimal, short_names, smaller_is_better, table, to_csv
from nnpipe.stages.work import Work
from nnpipe.store.artifact import Artifact
from nnpipe.store.canonical import canonical_json

TEMPLATE = Path(__file__).with_name("sweep.html.jinja")  # not among those of a run's report, whose keys count them


class Outcome(Part):
    """A run of the sweep. values: of the axes, in their order; failed: why there are no measures, if there are none."""

    values: tuple[Any, ...]
    failed: str | None = None


class SweepReport(Part):
    """What the table is made of besides what the runs' artifacts say.

    spec: the spec as it was written, matrix and overrides included.
    metrics: the measures in the table.
    template: ``template_digest()``: another template makes another report.
    """

    name: str
    description: str = ""
    spec: dict[str, Any]
    axes: tuple[str, ...]
    runs: tuple[Outcome, ...]
    metrics: tuple[str, ...]
    template: str


def template_digest() -> str:
    """SHA-256 of the files that the template is made of."""
    files = (TEMPLATE, TEMPLATES / "report.css")
    return hashlib.sha256(b"".join(hashlib.sha256(path.read_bytes()).digest() for path in files)).hexdigest()


def evaluation_of(number: int) -> str:
    """The stage's word for what run ``number`` (from 1) measured."""
    return f"run-{number}/evaluation"


def report_of(number: int) -> str:
    """The stage's word for the report of run ``number``."""
    return f"run-{number}/report"


def sweep(config: SweepReport, work: Work) -> None:
    """Write ``report.html``, ``table.csv`` and ``table.json``. Where the links lead is no part of the content."""
    runs = [
        (dict(zip(config.axes, run.values, strict=True)), _measures(work.inputs, number))
        for number, run in enumerate(config.runs, start=1)
    ]
    rows = table(runs, config.metrics)
    facts = _facts(config, runs, rows)
    links = {number: _link(work.inputs[report_of(number)]) for number in _reported(config, work.inputs)}
    page = _render({**facts, "links": links}).encode()
    timeless = _render({**facts, "links": dict.fromkeys(links, "#")}).encode()
    work.output.file("report.html", page, content=timeless)
    work.output.file("table.csv", to_csv(rows).encode())
    work.output.json("table", [row.to_json() for row in rows])
    work.output.summary = {"runs": len(runs), "failed": sum(run.failed is not None for run in config.runs)}


def _measures(inputs: Mapping[str, Artifact], number: int) -> Mapping[str, float]:
    artifact = inputs.get(evaluation_of(number))
    return artifact.summary.get("metrics", {}) if artifact else {}


def _reported(config: SweepReport, inputs: Mapping[str, Artifact]) -> list[int]:
    return [number for number in range(1, len(config.runs) + 1) if report_of(number) in inputs]


def _link(report: Artifact) -> str:
    """From one artifact's page to another's: both lie two folders below ``objects``."""
    return f"../../{report.id[:2]}/{report.id}/report.html"


def _render(facts: Mapping[str, Any]) -> str:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader([TEMPLATE.parent, TEMPLATES]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    for function in (reading.number, reading.kind, reading.joined, decimal, words):
        environment.filters[function.__name__] = function
    return environment.get_template(TEMPLATE.name).render(facts)


def _facts(
    config: SweepReport, runs: Sequence[tuple[dict[str, Any], Mapping[str, float]]], rows: Sequence[Row]
) -> dict[str, Any]:
    first = config.metrics[0]
    axes = [axis for axis in config.axes if axis != SEED]
    return {
        "config": config,
        "names": short_names(config.axes),
        "axes": axes,
        "seeds": sorted({words(values[SEED]) for values, _ in runs if SEED in values}, key=lambda s: (len(s), s)),
        "rows": rows,
        "best": best(rows, first),
        "smaller": smaller_is_better(first),
        "runs": [
            {"values": values, "measures": measures, "failed": run.failed}
            for run, (values, measures) in zip(config.runs, runs, strict=True)
        ],
        "plots": list(_plots(config, rows, runs)),
        "spec_text": spec_text(config.spec),
        "matrix_text": spec_text({MATRIX: config.spec[MATRIX]}),
    }


# -- plots ---------------------------------------------------------------------------------------------------


def _plots(
    config: SweepReport, rows: Sequence[Row], runs: Sequence[tuple[dict[str, Any], Mapping[str, float]]]
) -> Iterator[dict[str, str]]:
    """A plot of each measure that some run has."""
    from nnpipe.plots import style
    from nnpipe.plots.sweep import draw

    axes = [axis for axis in config.axes if axis != SEED]
    if not axes:  # seeds alone: each is a point
        rows = [Row(values, table([(values, measures)], config.metrics)[0].measures) for values, measures in runs]
    axis = main_axis(rows, axes or [SEED])
    names = short_names(config.axes)
    others = [name for name in axes if name != axis]
    values = list({canonical_json(row.values[axis]): row.values[axis] for row in rows}.values())
    if _numeric(values):
        values.sort()
    for metric in config.metrics:
        lines = lines_over(rows, metric, axis, values, others)
        if lines:
            with style.applied():
                shown = values if _numeric(values) else [words(value) for value in values]
                told = ", ".join(names[name] for name in others)
                drawing = draw(metric, names[axis], shown, lines, told, smaller=smaller_is_better(metric))
                url = "data:image/png;base64," + base64.b64encode(style.png(drawing.figure)).decode()
            yield {"title": drawing.title, "caption": drawing.caption, "alt": drawing.alt, "url": url}


def main_axis(rows: Sequence[Row], axes: Sequence[str]) -> str:
    """The axis to plot over: the first of numbers, or else the first, of those with more than one value."""
    several = [axis for axis in axes if len({canonical_json(row.values[axis]) for row in rows}) > 1] or list(axes)
    return next((axis for axis in several if _numeric([row.values[axis] for row in rows])), several[0])


def lines_over(rows: Sequence[Row], metric: str, axis: str, values: Sequence[Any], others: Sequence[str]) -> list[Line]:
    """A line for each combination of the other axes, in their order; the best ones first where they are many."""
    found: dict[str, dict[int, Point]] = {}
    for place, value in enumerate(values):
        for row in rows:
            measure = row.measures[metric]
            if canonical_json(row.values[axis]) == canonical_json(value) and measure.mean is not None:
                label = ", ".join(words(row.values[name]) for name in others)
                found.setdefault(label, {})[place] = Point(measure.mean, measure.std, measure.each)
    order = {
        ", ".join(words(row.values[name]) for name in others): index for index, row in reversed([*enumerate(rows)])
    }
    lines = [Line(label, found[label]) for label in sorted(found, key=order.__getitem__)]
    if len(lines) <= MOST_LINES:
        return lines
    sign = 1 if smaller_is_better(metric) else -1
    return sorted(lines, key=lambda line: min(sign * point.mean for point in line.points.values()))


def _numeric(values: Sequence[Any]) -> bool:
    return all(isinstance(value, int | float) and not isinstance(value, bool) for value in values)
