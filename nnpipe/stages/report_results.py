"""What a report tells of the measures, and of the test examples that the network is most wrong about."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import closing
from typing import Any

from nnpipe.stages.report_data import are_images, images_url
from nnpipe.store.artifact import Artifact

# The order in which measures are told; those that are not here follow.
ORDER = (
    "test_squared_error", "test_pca_squared_error",
    "test_accuracy", "test_balanced_accuracy", "test_macro_f1", "test_roc_auc",
    "test_r2", "test_mean_absolute_error", "test_root_mean_squared_error", "test_loss", "test_log_loss",
)  # fmt: skip
SHOWN = 10  # examples that the network is most wrong about


def result_facts(data: Artifact, evaluation: Artifact) -> dict[str, Any]:
    """``evaluation.json``; and ``measures`` in the order of telling, how many are ``right``, the ``worst`` examples."""
    found = evaluation.json("evaluation")
    metrics: dict[str, float] = evaluation.summary.get("metrics", {})
    return {
        **found,
        "intervals": found.get("intervals", {}),
        "measures": sorted(metrics, key=lambda name: (ORDER.index(name) if name in ORDER else len(ORDER), name)),
        "right": sum(row[label] for label, row in enumerate(found.get("confusion_matrix", []))),
        "worst": _worst(data, found),
    }


def _worst(data: Artifact, evaluation: Mapping[str, Any]) -> list[dict[str, Any]]:
    rows = [*evaluation.get("confident_mistakes", []), *evaluation.get("largest_errors", [])][:SHOWN]
    if not are_images(data.summary):
        return [{**row, "image": None} for row in rows]
    with closing(data.arrays("data")) as file:
        return [{**row, "image": images_url(file, "X_test", [row["index"]], data.summary)} for row in rows]
