"""The stage that tells what was done and what came out, as one HTML file that needs nothing else.

All facts come from the input artifacts; only the times in it may differ between identical runs.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nnpipe.models.architecture import Model
from nnpipe.plots import words
from nnpipe.spec import Part
from nnpipe.stages.pretrained import JOINT, numbered
from nnpipe.stages.report_data import data_facts, data_url
from nnpipe.stages.report_layers import layer_rows
from nnpipe.stages.report_results import result_facts
from nnpipe.stages.report_spec import spec_text
from nnpipe.stages.work import Work
from nnpipe.store.artifact import Artifact
from nnpipe.training.history import REASONS

TEMPLATES = Path(__file__).parent / "templates"


class Report(Part):
    """What the report says besides what the artifacts say.

    spec: the whole resolved spec, shown so that the run can be repeated.
    template: ``template_digest()``: another template makes another report.
    model: the architecture, whose shapes are shown; with it the code of its layers counts.
    """

    name: str
    description: str = ""
    spec: dict[str, Any]
    template: str
    model: Model


def template_digest() -> str:
    """SHA-256 of the template's files, names included."""
    state = hashlib.sha256()
    for path in sorted(TEMPLATES.iterdir()):
        if path.is_file():
            state.update(path.name.encode() + b"\0" + hashlib.sha256(path.read_bytes()).digest())
    return state.hexdigest()


def report(config: Report, work: Work) -> None:
    """Write ``report.html``. The times in it are no part of its content."""
    timeless = {name: Artifact(a.id, a.directory, a.manifest) for name, a in work.inputs.items()}
    work.output.file("report.html", _html(config, work.inputs), content=_html(config, timeless))
    work.output.summary["file"] = "report.html"


def _html(config: Report, inputs: Mapping[str, Artifact]) -> bytes:
    pretrained = [inputs[name] for name in numbered(inputs, "pretrain")]
    document = inputs["model"].tensors("model")[1]
    facts = {
        "config": config,
        "spec_text": spec_text(config.spec),
        "seed": config.spec.get("seed", 0),
        "data": data_facts(inputs["data"]),
        "scaling": document["scaling"],
        "target_scaling": document.get("target_scaling"),
        "layers": layer_rows(inputs["model"], len(pretrained)),
        "pretrained": [_timed(layer) for layer in pretrained],
        "joint": _timed(inputs[JOINT]) if JOINT in inputs else None,
        "labelled": sorted({layer.summary["method"] for layer in pretrained if layer.summary.get("labels")}),
        "probes": [inputs[name].summary for name in numbered(inputs, "probe")],
        "code": _code_units(document),
        "model": inputs["model"].summary,
        "reason": REASONS.get(inputs["model"].summary.get("stopped", "")),
        "pace": _pace(inputs["model"].made),
        "evaluation": result_facts(inputs["data"], inputs["evaluation"]),
        "metrics": inputs["evaluation"].summary.get("metrics", {}),
        "pictures": _pictures(inputs["pictures"]),
        "exports": inputs["exports"].json("exports"),
        "stages": _stages(inputs),
        "environment": inputs["model"].made.get("environment", {}),
    }
    return _render(facts).encode()


def _timed(artifact: Artifact) -> dict[str, Any]:
    return {**artifact.summary, "seconds": artifact.made.get("seconds")}


def _render(facts: Mapping[str, Any]) -> str:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    filters = (words.duration, words.size, words.number, words.percent, words.shape, words.kind, words.joined)
    for function in (*filters, words.metric):
        environment.filters[function.__name__] = function
    return environment.get_template("report.html.jinja").render(facts)


def _pace(made: Mapping[str, Any]) -> dict[str, float] | None:
    """Seconds an epoch and examples a second, from what was timed; None where nothing was."""
    epochs = made.get("timings", {}).get("epochs", [])
    seconds = sum(epoch["seconds"] for epoch in epochs)
    if not seconds:
        return None
    return {"epoch": seconds / len(epochs), "examples": sum(epoch["examples"] for epoch in epochs) / seconds}


def _pictures(artifact: Artifact) -> list[dict[str, str]]:
    listed: list[dict[str, str]] = artifact.json("pictures")
    return [{**entry, "url": data_url(artifact.path(entry["file"]).read_bytes())} for entry in listed]


def _stages(inputs: Mapping[str, Artifact]) -> list[dict[str, Any]]:
    """One row a stage, in the order they ran: what it made, when, and how its time compares with the longest."""
    order = [
        "data",
        *numbered(inputs, "pretrain"),
        *([JOINT] if JOINT in inputs else []),
        *numbered(inputs, "probe"),
        "model",
        "evaluation",
        "pictures",
        "exports",
    ]
    artifacts = [inputs[name] for name in order]
    longest = max((artifact.made.get("seconds") or 0 for artifact in artifacts), default=0) or 1
    return [
        {
            "name": artifact.manifest.stage,
            "input": name,
            "summary": artifact.summary,
            "id": artifact.id,
            "content": artifact.manifest.content,
            "size": artifact.size,
            "at": str(artifact.made.get("at") or "").replace("T", " ").replace("+00:00", " UTC"),
            "seconds": artifact.made.get("seconds"),
            "device": artifact.made.get("device"),
            "bar": 100 * (artifact.made.get("seconds") or 0) / longest,
        }
        for name, artifact in zip(order, artifacts, strict=True)
    ]


def _code_units(document: Mapping[str, Any]) -> int | None:
    """How many numbers an autoencoder's code has; None of other networks."""
    code: int | None = document.get("code")
    return None if code is None else document["architecture"]["layers"][code]["units"]
