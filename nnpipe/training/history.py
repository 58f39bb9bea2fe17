"""What happened in training, epoch by epoch, and why it ended."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

# Why training can end, and what it means.
REASONS = {
    "epochs": "all epochs were done",
    "patience": "validation no longer improved",
    "goal": "the loss was as small as asked for",
    "time": "the time limit had passed",
    "min_grad": "the gradient was next to nothing",
    "mu_max": "no step of Levenberg-Marquardt made the error smaller",
    "no_descent": "a line search found no lower point",
}


@dataclass
class History:
    """What happened: one record an epoch, why it ended, and which epoch's weights the module has.

    records: ``epoch`` (from 1), the means of the measures, those of validation with ``val_`` before, ``learning_rate``
    where the optimizer has one, ``seconds`` and ``examples``.
    stopped: one of ``REASONS``.
    inside: where somebody looked inside, what was seen before the first epoch and after each: layer -> measures.
    """

    records: list[dict[str, float]] = field(default_factory=list)
    stopped: str = "epochs"
    kept_epoch: int = 0
    inside: list[dict[str, dict[str, float]]] = field(default_factory=list)

    def without_times(self) -> list[dict[str, float]]:
        """The records less what differs from one run to the next."""
        return [{k: v for k, v in record.items() if k not in ("seconds", "examples")} for record in self.records]

    @property
    def seconds(self) -> float:
        """That all epochs took together, those before an interruption too."""
        return sum(record["seconds"] for record in self.records)

    def to_json(self) -> dict[str, object]:
        """As a checkpoint keeps it."""
        return dict(vars(self))

    @classmethod
    def from_json(cls, value: Mapping[str, object]) -> History:
        """What ``to_json`` gave."""
        return cls(**value)  # type: ignore[arg-type]
