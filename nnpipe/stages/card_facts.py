"""What a model card tells, from the spec and the artifacts that stand around a network."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import closing
from typing import TYPE_CHECKING, Any

from pydantic import Field

from nnpipe.exporters.card import Card
from nnpipe.plots import words
from nnpipe.spec import Part
from nnpipe.spec.words import words as plain
from nnpipe.training.history import REASONS

if TYPE_CHECKING:
    from nnpipe.exporters.model_card import Facts
    from nnpipe.store.artifact import Artifact

SPLITS = ("train", "validation", "test")
TRAINING = ("loss", "algorithm", "optimizer", "batch_size")  # what is told of ``train``, in this order


class Stated(Part):
    """What a card tells of what the spec says.

    train: of the spec's ``train`` what ``TRAINING`` names.
    pretrained: the methods that layers were pretrained by, from the lowest.
    """

    card: Card = Card()
    train: dict[str, Any] = Field(default_factory=dict)
    pretrained: tuple[str, ...] = ()


def card_facts(stated: Stated, model: Artifact, data: Artifact | None, evaluation: Artifact | None) -> Facts:
    """What is known of the network in the artifact ``model``; data, evaluation: None where they are not there."""
    from nnpipe.exporters.model_card import Facts

    artifacts = {"data": data, "network": model, "evaluation": evaluation}
    measured = evaluation.json("evaluation") if evaluation else {}
    metrics = evaluation.summary.get("metrics", {}) if evaluation else {}
    return Facts(
        card=stated.card,
        source=_source(data) if data else "",
        examples={split: data.summary["examples"][split] for split in SPLITS} if data else {},
        training=_training(stated, model.summary),
        results=[(words.metric(name), value, measured["intervals"].get(name)) for name, value in metrics.items()],
        tested=measured.get("examples", 0),
        digests={what: artifact.manifest.content for what, artifact in artifacts.items() if artifact},
    )


def _source(data: Artifact) -> str:
    with closing(data.arrays("data")) as file:
        return str(file.attributes().get("source", ""))


def _training(stated: Stated, summary: Mapping[str, Any]) -> dict[str, str]:
    """In words: what was chosen, and what came of it."""
    told = {"pretraining": ", ".join(map(words.kind, stated.pretrained))} if stated.pretrained else {}
    told |= {words.kind(name): _component(stated.train[name]) for name in TRAINING if name in stated.train}
    if "examples" in summary:
        told["labelled examples"] = f"{summary['examples']:,} of the training examples"
    if "epochs" in summary:
        reason = REASONS.get(summary.get("stopped", ""))
        told["epochs"] = f"{summary['epochs']}" + (f" ({reason})" if reason else "")
        if summary.get("kept_epoch", summary["epochs"]) != summary["epochs"]:
            told["epoch whose weights were kept"] = f"{summary['kept_epoch']}"
    return told


def _component(value: Any) -> str:
    """A component as its kind and the options that it has; everything else as YAML has it."""
    if not isinstance(value, Mapping) or "kind" not in value:
        return plain(value)
    options = {name: option for name, option in sorted(value.items()) if name != "kind" and option is not None}
    return f"{value['kind']} {plain(options)}" if options else str(value["kind"])
