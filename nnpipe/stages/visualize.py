"""The stage that draws pictures of a trained network, of its training and of its mistakes."""

from __future__ import annotations

from collections.abc import Container, Sequence
from dataclasses import replace
from itertools import count
from typing import Any

from pydantic import model_validator

from nnpipe.errors import StageError
from nnpipe.models.architecture import Model
from nnpipe.plots import AnyPicture, every_picture
from nnpipe.plots.picture import Picture, Pretrained, Subject
from nnpipe.spec import Part
from nnpipe.stages.pretrained import JOINT, numbered, pretrained_layers
from nnpipe.stages.splits import class_counts
from nnpipe.stages.subset import learned_counts
from nnpipe.stages.work import Work
from nnpipe.store.canonical import JSON
from nnpipe.training.losses import AnyLossOrKind
from nnpipe.training.losses.cross_entropy import CrossEntropy

MOST_EXAMPLES = 10_000  # test examples that pictures of single examples look through: memory stays bounded


class Visualize(Part):
    """Which pictures to draw.

    model: some pictures run the network, so the code of its layers determines them.
    loss: what training made small.
    first_seed: of the stage that trained, from which its first weights come again; None where another run gave them.
    pictures: None or left out: every picture that applies. Pictures that are named must apply.
    chosen: whether the pictures were named.
    """

    model: Model
    loss: AnyLossOrKind = CrossEntropy()
    first_seed: int | None = None
    pictures: tuple[AnyPicture, ...]
    chosen: bool = True

    @model_validator(mode="before")
    @classmethod
    def _every_picture_where_none_is_named(cls, data: Any) -> Any:
        # They are written out so that the code of each of them counts as code of this stage.
        if isinstance(data, dict) and data.get("pictures") is None:
            return {**data, "pictures": every_picture(), "chosen": False}
        return data


def visualize(config: Visualize, work: Work) -> None:
    """Draw each picture into ``<name>.png``, plots into ``<name>.svg`` too; ``pictures.json`` holds their words."""
    subject = _with_what_the_spec_says(subject_of(work), config, work)
    listed: list[dict[str, JSON]] = []
    for picture in _applicable(config, subject):
        drawing, png, svg = picture.render(subject)
        name = _unused(picture.name or picture.kind, {entry["name"] for entry in listed})
        work.output.file(f"{name}.png", png)
        if svg:
            work.output.file(f"{name}.svg", svg)
        words = {"title": drawing.title, "caption": drawing.caption, "alt": drawing.alt}
        place = {"name": name, "kind": picture.kind, "section": picture.section, "file": f"{name}.png"}
        listed.append({**place, "plot": drawing.plot, **words})
        work.advanced(len(listed), len(config.pictures), {})
    work.output.json("pictures", listed)
    work.output.summary["pictures"] = [entry["name"] for entry in listed]


def _unused(wanted: str, names: Container[str]) -> str:
    """``wanted``, or with the first number behind it that makes it another name than ``names``."""
    numbered = (f"{wanted}_{number}" for number in count(2))
    return wanted if wanted not in names else next(name for name in numbered if name not in names)


def subject_of(work: Work) -> Subject:
    """Read what pictures can be drawn of from the stage's inputs."""
    model, evaluation = work.inputs["model"], work.inputs["evaluation"]
    tensors, document = model.tensors("model")
    data = work.inputs["data"].arrays("data")
    predictions = evaluation.arrays("predictions")
    try:
        looked_at = min(MOST_EXAMPLES, data.shape("X_test")[0])
        return Subject(
            attributes=data.attributes(),
            tensors=tensors,
            document=document,
            history=model.json("history"),
            evaluation=evaluation.json("evaluation"),
            inputs=data.rows("X_test", 0, looked_at),
            truth=data.rows("y_test", 0, looked_at),
            predictions=predictions.rows(_predictions(predictions.names()), 0, looked_at),
            watched="validation" if "X_validation" in data.names() else "test",
            pretrained=_pretrained(work),
            joint_history=work.inputs[JOINT].json("history") if JOINT in work.inputs else (),
            probes=[work.inputs[name].json("probe") for name in numbered(work.inputs, "probe")],
            components=evaluation.tensors("components")[0] if "components" in evaluation.manifest.parts else None,
            generative=model.tensors("generative")[0] if "generative" in model.manifest.parts else None,
        )
    finally:
        data.close()
        predictions.close()


def _with_what_the_spec_says(subject: Subject, config: Visualize, work: Work) -> Subject:
    from nnpipe.stages.first_weights import first_weights

    counts = learned_counts(work.inputs["model"]) or class_counts(subject.attributes)
    first = None
    if config.first_seed is not None:
        pretrained = pretrained_layers(work.inputs, len(subject.pretrained))
        first = first_weights(config.model, subject.document, pretrained, config.first_seed)
    return replace(subject, architecture=config.model, loss=config.loss.resolved(counts), first=first)


def _predictions(names: Sequence[str]) -> str:
    """The array that holds what the network says."""
    return next(name for name in ("probabilities", "margins", "values", "codes") if name in names)


def _pretrained(work: Work) -> tuple[Pretrained, ...]:
    alone = [work.inputs[name] for name in numbered(work.inputs, "pretrain")]
    found = []
    for layer, tensors in zip(alone, pretrained_layers(work.inputs, len(alone)), strict=True):
        snapshots = layer.tensors("snapshots")[0] if "snapshots" in layer.manifest.parts else None
        document = layer.tensors("layer")[1]
        found.append(Pretrained(tensors, layer.json("history"), layer.summary, document, snapshots))
    return tuple(found)


def _applicable(config: Visualize, subject: Subject) -> list[Picture]:
    """The pictures to draw.

    Raises:
        StageError: one that was named does not apply.
    """
    applicable: list[Picture] = []
    for picture in config.pictures:
        if picture.applies(subject):
            applicable.append(picture)
        elif config.chosen:
            raise StageError(
                f"the picture {picture.kind!r} does not apply to this network and its data",
                where="visualize",
                expected=picture.needs,
                found=_description(subject),
                hint=f"leave {picture.kind!r} out of 'visualize', or leave 'visualize' out to get all that apply",
            )
    return applicable


def _description(subject: Subject) -> str:
    shape = " by ".join(map(str, subject.attributes["input_shape"]))
    first = subject.document["architecture"]["layers"][0]["kind"]
    pretrained = f", {len(subject.pretrained)} pretrained layers" if subject.pretrained else ""
    classes, targets = len(subject.class_names), len(subject.target_names)
    answers = f"{classes} classes" if classes else f"{targets} numbers to learn" if targets else "to be given back"
    return f"inputs of shape {shape}, {answers}, first layer {first}{pretrained}"
