"""The stage that tells what was done and what came out, as one HTML file that needs nothing else.

All facts come from the input artifacts; only the times in it may differ between identical runs.
"""

from __future__ import annotations

import base64
import hashlib
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from nnpipe.models.architecture import Model
from nnpipe.plots import words
from nnpipe.spec import Part
from nnpipe.stages.work import Work
from nnpipe.store.artifact import Artifact
from nnpipe.store.canonical import JSON

TEMPLATES = Path(__file__).parent / "templates"
SAMPLES = 4  # images of each class
SPLITS = ("train", "validation", "test")
MOST_SAMPLED = 50  # classes: with more, images would make the report heavy


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
    pretrained = [inputs[name] for name in _pretrain_names(inputs)]
    facts = {
        "config": config,
        "spec_text": spec_text(config.spec),
        "seed": config.spec.get("seed", 0),
        "data": _data(inputs["data"]),
        "scaling": inputs["model"].tensors("model")[1]["scaling"],
        "layers": _layers(inputs["model"], len(pretrained)),
        "pretrained": [{**layer.summary, "seconds": layer.made.get("seconds")} for layer in pretrained],
        "model": inputs["model"].summary,
        "pace": _pace(inputs["model"].made),
        "evaluation": inputs["evaluation"].json("evaluation"),
        "metrics": inputs["evaluation"].summary.get("metrics", {}),
        "pictures": _pictures(inputs["pictures"]),
        "exports": inputs["exports"].json("exports"),
        "stages": _stages(inputs),
        "environment": inputs["model"].made.get("environment", {}),
    }
    return _render(facts).encode()


def _render(facts: Mapping[str, Any]) -> str:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    for function in (words.duration, words.size, words.number, words.percent, words.shape, words.kind, words.joined):
        environment.filters[function.__name__] = function
    return environment.get_template("report.html.jinja").render(facts)


def spec_text(spec: Mapping[str, JSON]) -> str:
    """A spec as YAML in the order of its fields; a component, which has a kind, stands in one line."""
    from ruamel.yaml import YAML
    from ruamel.yaml.comments import CommentedMap, CommentedSeq
    from ruamel.yaml.representer import RoundTripRepresenter

    class Representer(RoundTripRepresenter):
        """Writes null, which round trips leave empty."""

    Representer.add_representer(type(None), lambda self, _: self.represent_scalar("tag:yaml.org,2002:null", "null"))

    def styled(value: JSON) -> JSON:
        if isinstance(value, Mapping):
            mapping = CommentedMap((key, styled(item)) for key, item in value.items())
            if "kind" in value:
                mapping.fa.set_flow_style()
            return mapping
        if isinstance(value, list | tuple):
            sequence = CommentedSeq(map(styled, value))
            if not any(isinstance(item, Mapping) for item in value):
                sequence.fa.set_flow_style()
            return sequence
        return value

    yaml = YAML()
    yaml.Representer = Representer
    yaml.width = 1000  # flow mappings stay in one line
    yaml.indent(mapping=2, sequence=4, offset=2)
    buffer = io.StringIO()
    yaml.dump(styled(spec), buffer)
    return buffer.getvalue()


# -- what the template is told ---------------------------------------------------------------------------------------


def _data(artifact: Artifact) -> dict[str, Any]:
    """The data's summary, where it comes from, and for each class its counts and some examples."""
    summary = artifact.summary
    counts: dict[str, list[int]] = {
        split: summary["class_counts"][split] for split in SPLITS if summary["examples"][split]
    }
    most = max((max(numbers, default=0) for numbers in counts.values()), default=0) or 1
    file = artifact.arrays("data")
    try:
        samples = _samples(file, summary)
        source = file.attributes().get("source", "")
    finally:
        file.close()
    classes = [
        {
            "name": name,
            "counts": {split: numbers[label] for split, numbers in counts.items()},
            "bars": {split: 100 * numbers[label] / most for split, numbers in counts.items()},
            "samples": samples.get(label),
        }
        for label, name in enumerate(summary["class_names"])
    ]
    return {**summary, "classes": classes, "splits": list(counts), "source": source, "sampled": bool(samples)}


def _samples(file: Any, summary: Mapping[str, Any]) -> dict[int, str]:
    """Class -> its first training images in one picture, as a data URL; empty where examples are no images."""
    shape = summary["input_shape"]
    if len(shape) != 3 or shape[0] not in (1, 3) or len(summary["class_names"]) > MOST_SAMPLED:
        return {}
    import numpy as np

    from nnpipe.plots.thumbnails import strip

    labels = file.rows("y_train", 0, file.shape("y_train")[0])
    statistics = summary["statistics"]
    low, high = summary.get("value_range") or (statistics["min"], statistics["max"])
    found = {}
    for label in range(len(summary["class_names"])):
        places = np.flatnonzero(labels == label)[:SAMPLES].tolist()
        if places:
            images = [file.rows("X_train", place, place + 1)[0] for place in places]
            found[label] = _data_url(strip(images, (low, high)))
    return found


def _layers(model: Artifact, pretrained: int) -> list[dict[str, Any]]:
    """One row a layer of the network; the first ``pretrained`` dense ones started from pretrained weights."""
    tensors, document = model.tensors("model")
    architecture = Model.model_validate(document["architecture"])
    given = architecture.first_shape(tuple(document["input_shape"]))
    shapes = architecture.shapes(tuple(document["input_shape"]))
    rows, dense = [], 0
    for index, (layer, shape) in enumerate(zip(architecture.layers, shapes, strict=True)):
        options = layer.model_dump(mode="json", exclude_none=True, exclude={"kind"})
        names = sorted(options, key=("init", "activation").__contains__)  # what sets the shape comes first
        dense += layer.kind == "dense"
        trained, given = layer.parameters(given), shape
        if trained is None:  # only its tensors tell
            trained = sum(int(tensor.size) for name, tensor in tensors.items() if name.startswith(f"layers.{index}."))
        rows.append(
            {
                "kind": layer.kind,
                "options": ", ".join(_option(name, options[name]) for name in names),
                "shape": shape,
                "parameters": trained,
                "pretrained": layer.kind == "dense" and dense <= pretrained,
            }
        )
    return rows


def _option(name: str, value: JSON) -> str:
    shown = _value(value)
    return shown if name == "activation" else f"{words.kind(name)} {shown}".strip()


def _value(value: JSON) -> str:
    """Sizes as a shape, components by their kind, the options of a user's own layer one by one."""
    if isinstance(value, list):
        if not any(isinstance(item, dict) for item in value):
            return words.shape(value)
        return ", ".join(map(_value, value))
    if isinstance(value, dict):
        return str(value["kind"]) if "kind" in value else " ".join(f"{name}={_value(value[name])}" for name in value)
    return str(value)


def _pace(made: Mapping[str, Any]) -> dict[str, float] | None:
    """Seconds an epoch and examples a second, from what was timed; None where nothing was."""
    epochs = made.get("timings", {}).get("epochs", [])
    seconds = sum(epoch["seconds"] for epoch in epochs)
    if not seconds:
        return None
    return {"epoch": seconds / len(epochs), "examples": sum(epoch["examples"] for epoch in epochs) / seconds}


def _pictures(artifact: Artifact) -> list[dict[str, str]]:
    listed: list[dict[str, str]] = artifact.json("pictures")
    return [{**entry, "url": _data_url(artifact.path(entry["file"]).read_bytes())} for entry in listed]


def _stages(inputs: Mapping[str, Artifact]) -> list[dict[str, Any]]:
    """One row a stage, in the order they ran: what it made, when, and how its time compares with the longest."""
    order = ["data", *_pretrain_names(inputs), "model", "evaluation", "pictures", "exports"]
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


def _pretrain_names(names: Sequence[str] | Mapping[str, Any]) -> list[str]:
    return sorted((name for name in names if name.startswith("pretrain/")), key=lambda name: int(name.split("/")[1]))


def _data_url(png: bytes) -> str:
    return "data:image/png;base64," + base64.b64encode(png).decode()
