"""What a report tells of the data: how many examples of each class with some of them, or how numbers are spread."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from contextlib import closing
from typing import TYPE_CHECKING, Any

from nnpipe.store.artifact import Artifact

if TYPE_CHECKING:
    from nnpipe.store.arrays import ArrayFile

SAMPLES = 4  # images of each class
SPLITS = ("train", "validation", "test")
MOST_SAMPLED = 50  # classes: with more, images would make the report heavy


def data_facts(artifact: Artifact) -> dict[str, Any]:
    """The data's summary, where it comes from, and what its answers are.

    classes: for each its counts and some examples; targets: for each its mean and deviation. One of both is empty.
    """
    summary = artifact.summary
    with closing(artifact.arrays("data")) as file:
        source = file.attributes().get("source", "")
        classes = _classes(file, summary) if summary["class_names"] else []
    return {
        **summary,
        "classes": classes,
        "targets": _targets(summary),
        "splits": [split for split in SPLITS if summary["examples"][split]],
        "source": source,
        "sampled": any(row["samples"] for row in classes),
    }


def _classes(file: ArrayFile, summary: Mapping[str, Any]) -> list[dict[str, Any]]:
    counts: dict[str, list[int]] = {
        split: summary["class_counts"][split] for split in SPLITS if summary["examples"][split]
    }
    most = max((max(numbers, default=0) for numbers in counts.values()), default=0) or 1
    samples = _samples(file, summary)
    return [
        {
            "name": name,
            "counts": {split: numbers[label] for split, numbers in counts.items()},
            "bars": {split: 100 * numbers[label] / most for split, numbers in counts.items()},
            "samples": samples.get(label),
        }
        for label, name in enumerate(summary["class_names"])
    ]


def _targets(summary: Mapping[str, Any]) -> list[dict[str, Any]]:
    names = summary.get("target_names", [])
    if not names:
        return []
    spread = summary["targets"]
    rows = zip(names, spread["feature_mean"], spread["feature_std"], strict=True)
    return [{"name": name, "mean": mean, "std": std} for name, mean, std in rows]


def are_images(summary: Mapping[str, Any]) -> bool:
    """Whether examples can be looked at."""
    shape = summary["input_shape"]
    return len(shape) == 3 and shape[0] in (1, 3)


def _samples(file: ArrayFile, summary: Mapping[str, Any]) -> dict[int, str]:
    """Class -> its first training images in one picture, as a data URL; empty where examples are no images."""
    if not are_images(summary) or len(summary["class_names"]) > MOST_SAMPLED:
        return {}
    import numpy as np

    labels = file.rows("y_train", 0, file.shape("y_train")[0])
    found = {}
    for label in range(len(summary["class_names"])):
        places = np.flatnonzero(labels == label)[:SAMPLES].tolist()
        if places:
            found[label] = images_url(file, "X_train", places, summary)
    return found


def images_url(file: ArrayFile, name: str, places: list[int], summary: Mapping[str, Any]) -> str:
    """The images of array ``name`` at ``places`` side by side, as a data URL."""
    from nnpipe.plots.thumbnails import strip

    statistics = summary["statistics"]
    low, high = summary.get("value_range") or (statistics["min"], statistics["max"])
    return data_url(strip([file.rows(name, place, place + 1)[0] for place in places], (low, high)))


def data_url(png: bytes) -> str:
    """A picture inside a page."""
    return "data:image/png;base64," + base64.b64encode(png).decode()
