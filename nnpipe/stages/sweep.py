"""The stage that sets the runs of a sweep side by side: a table, plots, one HTML file that links to their reports."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from nnpipe.spec import Part
from nnpipe.spec.matrix import MATRIX, SEED
from nnpipe.spec.words import words
from nnpipe.stages.report_page import PAGES, SHARED, TEMPLATES, digest_of, render
from nnpipe.stages.report_spec import spec_text
from nnpipe.stages.sweep_plots import Course, plots
from nnpipe.stages.sweep_table import Row, best, decimal, short_names, smaller_is_better, table, to_csv
from nnpipe.stages.work import Work
from nnpipe.store.artifact import Artifact

TEMPLATE = "sweep.html.jinja"  # not among those of a run's report, whose keys count them


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
    return digest_of(PAGES / TEMPLATE, *(TEMPLATES / name for name in SHARED))


def evaluation_of(number: int) -> str:
    """The stage's word for what run ``number`` (from 1) measured."""
    return f"run-{number}/evaluation"


def network_of(number: int) -> str:
    """The stage's word for what run ``number`` trained, with the history of its training."""
    return f"run-{number}/network"


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
    facts = _facts(config, runs, rows, _courses(config, work.inputs))
    links = {number: _link(work.inputs[report_of(number)]) for number in _reported(config, work.inputs)}
    page = render(TEMPLATE, {**facts, "links": links}, decimal, words)
    timeless = render(TEMPLATE, {**facts, "links": dict.fromkeys(links, "#")}, decimal, words)
    work.output.file("report.html", page.encode(), content=timeless.encode())
    work.output.file("table.csv", to_csv(rows).encode())
    work.output.json("table", [row.to_json() for row in rows])
    work.output.summary = {"runs": len(runs), "failed": sum(run.failed is not None for run in config.runs)}


def _measures(inputs: Mapping[str, Artifact], number: int) -> Mapping[str, float]:
    artifact = inputs.get(evaluation_of(number))
    return artifact.summary.get("metrics", {}) if artifact else {}


def _courses(config: SweepReport, inputs: Mapping[str, Artifact]) -> list[Course]:
    """How training went in each run that came to its end."""
    found = []
    for number, run in enumerate(config.runs, start=1):
        network = inputs.get(network_of(number))
        records = network.json("history")["records"] if network else []
        if records:
            values = dict(zip(config.axes, run.values, strict=True))
            found.append(Course(values, [record["epoch"] for record in records], [r["loss"] for r in records]))
    return found


def _reported(config: SweepReport, inputs: Mapping[str, Artifact]) -> list[int]:
    return [number for number in range(1, len(config.runs) + 1) if report_of(number) in inputs]


def _link(report: Artifact) -> str:
    """From one artifact's page to another's: both lie two folders below ``objects``."""
    return f"../../{report.id[:2]}/{report.id}/report.html"


def _facts(
    config: SweepReport,
    runs: Sequence[tuple[dict[str, Any], Mapping[str, float]]],
    rows: Sequence[Row],
    courses: Sequence[Course],
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
        "plots": list(plots(config.axes, config.metrics, rows, runs, courses)),
        "spec_text": spec_text(config.spec),
        "matrix_text": spec_text({MATRIX: config.spec[MATRIX]}),
    }
