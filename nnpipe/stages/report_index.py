"""All runs of a store on one page, the last one first, with what came out and a picture of each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from nnpipe.stages.report_page import render
from nnpipe.store.canonical import JSON

# Of these pictures the first that a run has is shown.
SHOWN = (
    "filters", "decision_boundary", "fitted_function", "autoencoder_reconstructions", "confusion_matrix",
    "predicted_vs_true", "learning_curves",
)  # fmt: skip


@dataclass(frozen=True)
class Entry:
    """A run.

    run: its record.
    result: the measure that it is told by.
    report, picture: links from the page; None where there is no such file any more.
    """

    run: Mapping[str, JSON]
    result: str
    report: str | None
    picture: str | None

    @property
    def computed(self) -> int:
        """How many stages were not found in the store."""
        return sum(stage["status"] != "reused" for stage in self.run["stages"])


def shown_picture(files: Mapping[str, Any]) -> str | None:
    """The file that stands for a run, of those of its pictures."""
    return next((f"{name}.png" for name in SHOWN if f"{name}.png" in files), None)


def index(entries: Sequence[Entry], store: str) -> str:
    """The page; ``store`` is what the store is called. Its pictures are files of the store, as its links are."""
    names = {entry.run["spec"] for entry in entries}
    return render("index.html.jinja", {"entries": entries, "store": store, "specs": len(names)})
