"""Runs side by side on one page: what differs in their specs, what came out, and whether that is more than chance."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from fractions import Fraction
from math import comb
from typing import Any

from nnpipe.plots.compared_curves import Course, draw_courses
from nnpipe.spec.words import words
from nnpipe.stages.report_layers import layer_rows
from nnpipe.stages.report_page import render
from nnpipe.stages.report_pictures import drawing, pictures_of, sections
from nnpipe.stages.report_results import ORDER
from nnpipe.store.artifact import Artifact
from nnpipe.store.canonical import JSON, canonical_json

READ = ("ingest", "finetune", "evaluate", "visualize", "report")  # stages that a run must have
ALONE = "learning_curves"  # the picture that is drawn once for all runs


@dataclass(frozen=True)
class Side:
    """A run. name: what it was asked for by; run: its record; artifacts: of its stages, by their names."""

    name: str
    run: Mapping[str, JSON]
    artifacts: Mapping[str, Artifact]
    link: str  # to its report, from the page

    @property
    def evaluation(self) -> dict[str, Any]:
        found: dict[str, Any] = self.artifacts["evaluate"].json("evaluation")
        return found

    @property
    def metrics(self) -> dict[str, float]:
        found: dict[str, float] = self.artifacts["evaluate"].summary.get("metrics", {})
        return found


def comparison(sides: Sequence[Side]) -> str:
    """The page that sets at least two runs side by side; the first is what the others are compared with."""
    facts = {
        "sides": sides,
        "fields": list(_fields([side.run["whole_spec"] for side in sides])),
        "measures": list(_measures(sides)),
        "paired": [_paired(sides[0], side) for side in sides[1:]],
        "curves": _curves(sides),
        "stages": list(_stages(sides)),
        "networks": [_network(side) for side in sides],
        "pictures": _pictures(sides),
    }
    return render("comparison.html.jinja", facts)


# -- what was asked for --------------------------------------------------------------------------------------


def _fields(values: Sequence[JSON], name: str = "") -> Iterator[dict[str, Any]]:
    """The smallest parts of specs that differ, by their names; components of different kinds differ as a whole."""
    if all(canonical_json(value) == canonical_json(values[0]) for value in values) or name == "name":
        return
    members = [_members(value) for value in values]
    known = [each for each in members if each is not None]
    if len(known) < len(values) or len({each.get("kind") for each in known}) > 1:
        yield {"name": name, "values": [words(_brief(value)) for value in values]}
        return
    for key in dict.fromkeys(key for each in known for key in each):
        yield from _fields([each.get(key) for each in known], f"{name}.{key}" if name else key)


def _members(value: JSON) -> dict[str, JSON] | None:
    """The members of a mapping, or of a list of components; None for a value that is told as a whole."""
    if isinstance(value, list) and value and all(isinstance(item, dict) for item in value):
        return {str(index): item for index, item in enumerate(value)}
    return value if isinstance(value, dict) else None


def _brief(value: JSON) -> JSON:
    """Without what is not set; what a component is comes first."""
    if isinstance(value, dict):
        names = sorted(value, key=lambda name: name != "kind")
        return {name: _brief(value[name]) for name in names if value[name] not in (None, {}, [])}
    return [_brief(item) for item in value] if isinstance(value, list) else value


def _network(side: Side) -> dict[str, Any]:
    pretrained = sum(name.startswith("pretrain/") for name in side.artifacts)
    layers = layer_rows(side.artifacts["finetune"], pretrained)
    return {"layers": layers, "parameters": side.artifacts["finetune"].summary["parameters"]}


def _stages(sides: Sequence[Side]) -> Iterator[dict[str, Any]]:
    """Each stage but the report: its seconds in each run; ``same``: whether all have one content."""
    for name in dict.fromkeys(name for side in sides for name in side.artifacts):
        there = [side.artifacts.get(name) for side in sides]
        known = [artifact for artifact in there if artifact]
        one = len({artifact.manifest.content for artifact in known}) == 1 if len(known) == len(sides) else None
        if name != "report":
            seconds = [artifact.made.get("seconds") if artifact else None for artifact in there]
            yield {"name": name, "seconds": seconds, "same": one}


# -- what came out -------------------------------------------------------------------------------------------


def _measures(sides: Sequence[Side]) -> Iterator[dict[str, Any]]:
    """Each measure that the first run and another have: values, intervals, differences from the first, verdicts.

    A verdict: True where each of two values lies outside the other's interval, False where not, None without both.
    """
    intervals = [side.evaluation.get("intervals", {}) for side in sides]
    metrics = [side.metrics for side in sides]
    names = sorted(metrics[0], key=lambda name: (ORDER.index(name) if name in ORDER else len(ORDER), name))
    for name in names:
        values = [measures.get(name) for measures in metrics]
        if sum(value is not None for value in values) < 2:
            continue
        spans = [known.get(name) for known in intervals]
        others = [
            _compared(values[0], value, spans[0], span) for value, span in zip(values[1:], spans[1:], strict=True)
        ]
        yield {"name": name, "values": values, "intervals": spans, "others": others}


def _compared(a: float | None, b: float | None, of_a: JSON, of_b: JSON) -> dict[str, Any]:
    if a is None or b is None:
        return {"difference": None, "apart": None}
    apart = None
    if of_a and of_b:
        apart = not (of_a[0] <= b <= of_a[1] or of_b[0] <= a <= of_b[1])
    return {"difference": b - a, "apart": apart}


def _paired(one: Side, other: Side) -> dict[str, Any] | None:
    """How often each of two classifiers alone is right about the same test examples; None where there are no such.

    p: of McNemar's exact test: how likely it is that the two numbers lie as far apart, if both are equally good.
    """
    same = one.artifacts["ingest"].manifest.content == other.artifacts["ingest"].manifest.content
    right = [_right(side) for side in (one, other)] if same else []
    if len(right) < 2 or right[0] is None or right[1] is None:
        return None
    a, b = right
    first, second = int((a & ~b).sum()), int((b & ~a).sum())
    alike = {"both": int((a & b).sum()), "neither": int((~a & ~b).sum())}
    return {"name": other.name, **alike, "first": first, "second": second, "p": mcnemar(first, second)}


def _right(side: Side) -> Any:
    """Whether the class of each test example is told right, (n,) bool; None of networks that tell no classes."""
    import numpy as np

    with closing(side.artifacts["evaluate"].arrays("predictions")) as file:
        name = next((name for name in ("probabilities", "margins") if name in file.names()), None)
        if name is None:
            return None
        predicted = np.asarray(file.rows(name, 0, file.shape(name)[0])).argmax(1)
    with closing(side.artifacts["ingest"].arrays("data")) as file:
        return predicted == file.rows("y_test", 0, len(predicted))


def mcnemar(first: int, second: int) -> float:
    """The two-sided p-value of McNemar's exact test (McNemar 1947): a fair coin's, thrown first + second times."""
    thrown, fewer = first + second, min(first, second)
    tail = sum(comb(thrown, heads) for heads in range(fewer + 1))
    return float(min(Fraction(1), Fraction(2 * tail, 2**thrown)))


# -- pictures ------------------------------------------------------------------------------------------------


def _curves(sides: Sequence[Side]) -> dict[str, Any] | None:
    from nnpipe.plots import style

    courses = [Course(side.name, side.artifacts["finetune"].json("history")["records"]) for side in sides]
    if not all(course.records for course in courses):
        return None
    with style.applied():
        drawn = draw_courses(courses)
        return drawing(drawn, "curves") if drawn else None


def _pictures(sides: Sequence[Side]) -> list[dict[str, Any]]:
    """For each kind of picture, in the order of a report, its title and what each run has of it; None where nothing."""
    of_sides = [
        {picture["name"]: picture for picture in pictures_of(side.artifacts["visualize"], f"picture-{number}")}
        for number, side in enumerate(sides, start=1)
    ]
    first: dict[str, dict[str, Any]] = {}
    for pictures in of_sides:
        first = {**pictures, **first}
    return [
        {"name": name, "title": picture["title"], "pictures": [pictures.get(name) for pictures in of_sides]}
        for shown in sections(first.values()).values()
        for picture in shown
        if (name := picture["name"]) != ALONE
    ]
