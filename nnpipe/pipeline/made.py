"""What a stage made, in a line of words. Everything told is in the artifact's summary; nothing is opened."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from nnpipe.pipeline.run import HEADLINE
from nnpipe.plots import words
from nnpipe.store.artifact import Artifact

Summary = Mapping[str, Any]
MEASURES = 4  # of a training stage, at most


def made(artifact: Artifact) -> str:
    """For example ``288,010 parameters, 60 epochs: loss 0.034``; empty for a stage that nothing is known of."""
    told = TOLD.get(artifact.manifest.stage.partition("/")[0])
    return told(artifact.summary) if told else ""


def _data(summary: Summary) -> str:
    counts = {"training": "train", "validation": "validation", "test": "test"}
    splits = [f"{summary['examples'][split]:,} {word}" for word, split in counts.items() if summary["examples"][split]]
    numbers = len(summary.get("target_names") or ())
    answers = f"{summary['classes']} classes" if summary["classes"] else f"{numbers} numbers to learn"
    return f"{words.joined(splits)} examples of {words.shape(summary['input_shape'])}, {answers}"


def _layer(summary: Summary) -> str:
    units = f"{summary['visible']:,} → {summary['hidden']:,} units by {words.kind(summary['method'])}"
    return f"{units}, {_epochs(summary)}" + _measures(summary)


def _imported(summary: Summary) -> str:
    return (
        f"a network of {summary['layers']} layers, {summary['parameters']:,} numbers ({words.kind(summary['format'])})"
    )


def _probe(summary: Summary) -> str:
    return f"two probes of {summary['features']:,} features, {summary['examples']:,} examples"


def _network(summary: Summary) -> str:
    return f"{summary['parameters']:,} parameters, {_epochs(summary)}" + _measures(summary)


def _evaluation(summary: Summary) -> str:
    metrics = summary.get("metrics", {})
    return ", ".join(_measure(name, metrics[name]) for name in HEADLINE if name in metrics)


def _pictures(summary: Summary) -> str:
    return ", ".join(map(words.kind, summary["pictures"])) or "no pictures"


def _exports(summary: Summary) -> str:
    formats = summary["formats"].items()
    return ", ".join(f"{words.kind(name)} ({words.size(each['bytes'])})" for name, each in formats) or "no files"


def _epochs(summary: Summary) -> str:
    return "1 epoch" if summary["epochs"] == 1 else f"{summary['epochs']} epochs"


def _measures(summary: Summary) -> str:
    """The measures of a training stage, which are its fractions; what it learned by first."""
    names = [name for name, value in summary.items() if isinstance(value, float) and not name.startswith("best_")]
    names.sort(key=lambda name: name.startswith("val_"))
    found = [_measure(name, summary[name]) for name in names]
    return ": " + ", ".join(found[:MEASURES]) if found else ""


def _measure(name: str, value: float) -> str:
    return f"{words.kind(name)} {words.number(value)}"


TOLD: dict[str, Callable[[Summary], str]] = {
    "ingest": _data,
    "import": _imported,
    "pretrain": _layer,
    "probe": _probe,
    "finetune": _network,
    "evaluate": _evaluation,
    "visualize": _pictures,
    "export": _exports,
    "report": lambda summary: "one HTML file with everything in it",
}
