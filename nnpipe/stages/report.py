"""The stage that tells what was done and what came out, as one HTML file that needs nothing else.

All facts come from the input artifacts; only the times in it may differ between identical runs.
"""

from __future__ import annotations

from collections.abc import Mapping
from copy import copy
from typing import Any

from nnpipe.models.architecture import Model
from nnpipe.spec import Part
from nnpipe.stages.import_network import IMPORT
from nnpipe.stages.pretrained import JOINT, numbered
from nnpipe.stages.report_data import data_facts
from nnpipe.stages.report_graph import boxes_of, drawn
from nnpipe.stages.report_layers import layer_rows
from nnpipe.stages.report_page import TEMPLATES, digest_of, render
from nnpipe.stages.report_pictures import SECTIONS, pictures_of, sections
from nnpipe.stages.report_results import result_facts
from nnpipe.stages.report_spec import spec_text
from nnpipe.stages.work import Work
from nnpipe.store.artifact import Artifact
from nnpipe.training.history import REASONS


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
    return digest_of(*(path for path in TEMPLATES.iterdir() if path.is_file()))


def report(config: Report, work: Work) -> None:
    """Write ``report.html``. The times in it are no part of its content."""
    facts, timeless = _facts(config, work.inputs), {name: _timeless(a) for name, a in work.inputs.items()}
    whole, content = (render("report.html.jinja", {**facts, **_times(config, i)}) for i in (work.inputs, timeless))
    work.output.file("report.html", whole.encode(), content=content.encode())
    work.output.summary["file"] = "report.html"


def _timeless(artifact: Artifact) -> Artifact:
    bare = copy(artifact)
    bare.made = {}
    return bare


def _facts(config: Report, inputs: Mapping[str, Artifact]) -> dict[str, Any]:
    """What is the same in identical runs."""
    pretrained = [inputs[name] for name in numbered(inputs, "pretrain")]
    document = inputs["model"].tensors("model")[1]
    pictures = pictures_of(inputs["pictures"])
    return {
        "config": config,
        "spec_text": spec_text(config.spec),
        "seed": config.spec.get("seed", 0),
        "data": data_facts(inputs["data"]),
        "scaling": document["scaling"],
        "target_scaling": document.get("target_scaling"),
        "layers": layer_rows(inputs["model"], len(pretrained)),
        "labelled": sorted({layer.summary["method"] for layer in pretrained if layer.summary.get("labels")}),
        "probes": [inputs[name].summary for name in numbered(inputs, "probe")],
        "code": _code_units(document),
        "model": inputs["model"].summary,
        "reason": REASONS.get(inputs["model"].summary.get("stopped", "")),
        "evaluation": result_facts(inputs["data"], inputs["evaluation"]),
        "metrics": inputs["evaluation"].summary.get("metrics", {}),
        "pictures": pictures,
        "sections": sections(pictures),
        "headings": SECTIONS,
        "exports": inputs["exports"].json("exports"),
    }


def _times(config: Report, inputs: Mapping[str, Artifact]) -> dict[str, Any]:
    """What differs from run to run: when, how long, on what."""
    stages = _stages(inputs)
    boxes, arrows = boxes_of(stages, started=bool(config.spec.get("train", {}).get("start")))
    return {
        "pretrained": [_timed(inputs[name]) for name in numbered(inputs, "pretrain")],
        "joint": _timed(inputs[JOINT]) if JOINT in inputs else None,
        "pace": _pace(inputs["model"].made),
        "stages": stages,
        "graphs": [drawn(boxes, arrows, downwards=downwards) for downwards in (False, True)],
        "environment": inputs["model"].made.get("environment", {}),
        "precision": inputs["model"].made.get("precision", []),
    }


def _timed(artifact: Artifact) -> dict[str, Any]:
    return {**artifact.summary, "seconds": artifact.made.get("seconds")}


def _pace(made: Mapping[str, Any]) -> dict[str, float] | None:
    """Seconds an epoch and examples a second, from what was timed; None where nothing was."""
    epochs = made.get("timings", {}).get("epochs", [])
    seconds = sum(epoch["seconds"] for epoch in epochs)
    if not seconds:
        return None
    return {"epoch": seconds / len(epochs), "examples": sum(epoch["examples"] for epoch in epochs) / seconds}


def _stages(inputs: Mapping[str, Artifact]) -> list[dict[str, Any]]:
    """One row a stage, in the order they ran: what it made, when, and how its time compares with the longest.

    earlier: whether the run that computed the last of them found this one in the store.
    """
    order = [
        "data",
        *numbered(inputs, "pretrain"),
        *([JOINT] if JOINT in inputs else []),
        *numbered(inputs, "probe"),
        *([IMPORT] if IMPORT in inputs else []),
        "model",
        "evaluation",
        "pictures",
        "exports",
    ]
    artifacts = [inputs[name] for name in order]
    longest = max((artifact.made.get("seconds") or 0 for artifact in artifacts), default=0) or 1
    newest = max(artifacts, key=lambda artifact: str(artifact.made.get("at"))).made.get("run")
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
            "earlier": artifact.made.get("run") != newest,
            "bar": 100 * (artifact.made.get("seconds") or 0) / longest,
        }
        for name, artifact in zip(order, artifacts, strict=True)
    ]


def _code_units(document: Mapping[str, Any]) -> int | None:
    """How many numbers an autoencoder's code has; None of other networks."""
    code: int | None = document.get("code")
    return None if code is None else document["architecture"]["layers"][code]["units"]
