"""What a notebook shows of a spec, a plan and a run."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from nnpipe.card import Image, Table, card
from nnpipe.errors import NnpipeError, StoreError
from nnpipe.models.layers.layer import Shape
from nnpipe.pipeline.made import made
from nnpipe.plots import words
from nnpipe.stages.report_layers import layer_options
from nnpipe.stages.report_spec import spec_text

if TYPE_CHECKING:
    from nnpipe.pipeline.plan import Plan
    from nnpipe.pipeline.run import Run
    from nnpipe.pipeline.spec import Spec

SHORT = 12  # characters of a digest
LARGEST = 200_000  # bytes of a picture


def spec_card(spec: Spec) -> str:
    """The network layer by layer, and the spec as YAML."""
    yaml = spec_text(spec.model_dump(mode="json"))
    return card(spec.name, spec.description, tables=[_network(spec)], more={"YAML": yaml})


def plan_card(plan: Plan) -> str:
    """Every stage and what would become of it."""
    rows = [
        (
            each.stage.name,
            each.status,
            (each.key or "")[:SHORT],
            each.record.artifact[:SHORT] if each.record else "",
            words.duration(each.record.made.get("seconds")) if each.record else "",
        )
        for each in plan.stages
    ]
    waiting = sum(each.status != "reuse" for each in plan.stages)
    told = f"plan: {waiting} of {len(rows)} stages to do" if waiting else "plan: nothing to do"
    return card(plan.spec.name, told, tables=[Table(("stage", "status", "key", "artifact", "took"), rows)])


def run_card(run: Run) -> str:
    """What was measured, what became of each stage, a picture, and where the report is."""
    rows = [
        (stage.name, stage.status, words.duration(stage.seconds), stage.artifact[:SHORT], _made(run, stage.name))
        for stage in run.stages
    ]
    measures = [(words.metric(name), value) for name, value in run.headline.items()]
    return card(
        run.run,
        f"{run.status} in {words.duration(run.seconds)}",
        tables=[Table(("measure", "value"), measures), Table(("stage", "status", "took", "artifact", "made"), rows)],
        image=_picture(run),
        report=run.report,
    )


def _network(spec: Spec) -> Table:
    """Shapes and sizes as far as they follow from the spec; what the data's files tell is not asked for."""
    try:
        shape: Shape | None = spec.data.source.describe(Path()).shape
    except NnpipeError:
        shape = None
    model = spec.model.unrolled(shape) if shape else spec.model
    given = model.first_shape(shape) if shape else None
    shapes = model.shapes(shape) if shape else [None] * len(model.layers)
    rows = []
    for layer, after in zip(model.layers, shapes, strict=True):
        parameters = layer.parameters(given) if given else None
        told = words.shape(after) if after else "–"  # noqa: RUF001 - a dash is meant
        rows.append((layer.kind, layer_options(layer), told, parameters))
        given = after
    return Table(("layer", "options", "shape", "parameters"), rows)


def _made(run: Run, stage: str) -> str:
    try:
        return made(run.artifact(stage))
    except StoreError:
        return "gone"


def _picture(run: Run) -> Image | None:
    """The first picture that was drawn, if it is there and no burden to a notebook."""
    if "visualize" not in {stage.name for stage in run.stages}:
        return None
    try:
        artifact = run.artifact("visualize")
        for picture in artifact.json("pictures")[:1]:
            if artifact.manifest.files[picture["file"]][0] <= LARGEST:
                return Image(artifact.path(picture["file"]).read_bytes(), picture["alt"])
    except StoreError:
        return None
    return None
