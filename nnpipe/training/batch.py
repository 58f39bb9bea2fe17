"""A batch as an optimizer sees it: a function of the weights, the same at each call."""

from __future__ import annotations

from collections.abc import Iterable

from torch import Tensor

from nnpipe.training.objective import Objective
from nnpipe.training.regularisation import Regularisation


class Batch:
    """The closure that an optimizer's ``step`` is handed.

    Called, it fills ``.grad`` with the gradient of the batch's mean objective, penalties included, and returns its
    value, 0-d, or None for an objective that has none. Random draws are the same at each call: to a line search the
    objective is a function of the weights.

    x, y: the batch, for optimizers that want more of ``objective`` than gradients.
    steady: whether the next batch is the same function of the weights: all examples, and nothing drawn.
    measures: what the first call measured, of the weights before the step; summed over the batch.
    """

    def __init__(
        self, objective: Objective, x: Tensor, y: Tensor | None, regularisation: Regularisation, *, whole: bool = False
    ) -> None:
        self.objective, self.x, self.y, self.regularisation = objective, x, y, regularisation
        self.steady = whole and not objective.generators
        self.measures: dict[str, Tensor] = {}
        self._sources = list(objective.generators.values())
        self._states = [source.get_state() for source in self._sources]

    def __call__(self) -> Tensor | None:
        if self.measures:
            for source, state in zip(self._sources, self._states, strict=True):
                source.set_state(state)
        measures = self.objective.gradient(self.x, self.y)
        self.measures = self.measures or measures
        module, regularisation = self.objective.module, self.regularisation
        penalty = regularisation.penalise(module)
        regularisation.clip(module)
        if "loss" not in measures:
            return None
        loss = measures["loss"] / len(self.x)
        return loss if penalty is None else loss + penalty


def add_up(sums: dict[str, Tensor], measures: Iterable[tuple[str, Tensor]]) -> None:
    """Add measures to ``sums`` in float64; they stay on the device, as reading them would wait for it."""
    for name, value in measures:
        sums[name] = sums[name] + value if name in sums else value.double()
