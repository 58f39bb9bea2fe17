"""The stage that asks one layer's representation, or the input itself, how well classes can be read from it.

Probes learn from training examples and are measured on the test examples; nothing is chosen by what is measured.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, closing
from typing import TYPE_CHECKING

from pydantic import Field

from nnpipe.errors import StageError
from nnpipe.evaluation.probing import Probing
from nnpipe.models.scaling import Scaling, ScalingKind, resolve_scaling
from nnpipe.spec import Part
from nnpipe.stages.work import Work

if TYPE_CHECKING:
    import numpy as np

    from nnpipe.evaluation.probes import Probe
    from nnpipe.store.arrays import ArrayFile

BLOCK = 1000  # test examples at a time


class ProbeLayer(Part):
    """What to ask. layer: its number, from 1; 0: the input, scaled as networks read it."""

    layer: int = Field(ge=0)
    probing: Probing
    scaling: ScalingKind


def probe(config: ProbeLayer, work: Work) -> None:
    """Ask; keep ``probe`` (json): ``linear_accuracy``, ``neighbour_accuracy``, and of how many examples and features.

    Raises:
        StageError: the data have no classes, or the examples that are learnt from have only one.
        DataError: the data cannot be scaled as the spec says.
    """
    import numpy as np

    from nnpipe.evaluation.probes import linear_probe, neighbour_probe

    with ExitStack() as opened:
        data = opened.enter_context(closing(work.inputs["data"].arrays("data")))
        if not data.attributes()["class_names"]:
            raise StageError(
                "probes tell classes", where="probe", expected="data with classes", found="numbers to learn"
            )
        if config.layer:
            file = opened.enter_context(closing(work.inputs["layer"].arrays("representation")))
            name, scaling = "H", Scaling()
        else:
            file, name, scaling = data, "X", resolve_scaling(config.scaling, data.attributes())
        count = data.shape("y_train")[0]
        chosen = np.random.default_rng(work.seed).permutation(count)[: config.probing.examples]
        chosen.sort()
        x = np.concatenate([rows[near] for rows, near in _picked(file, f"{name}_train", scaling, chosen)])
        y = data.rows("y_train", 0, count)[chosen]
        if len(np.unique(y)) < 2:
            raise StageError("probes learn from examples of one class only", where="probe.examples", found=str(len(y)))
        neighbours = min(config.probing.neighbours, len(y))
        probes = {"linear_accuracy": linear_probe(x, y), "neighbour_accuracy": neighbour_probe(x, y, neighbours)}
        truth = data.rows("y_test", 0, data.shape("y_test")[0])
        found = {key: _accuracy(each, file, f"{name}_test", scaling, truth) for key, each in probes.items()}
    facts = {"layer": config.layer, "features": x.shape[1], "examples": len(y), "neighbours": neighbours, **found}
    work.output.json("probe", facts)
    work.output.summary |= facts


def _picked(
    file: ArrayFile, name: str, scaling: Scaling, chosen: np.ndarray
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """The blocks of an array that hold rows of ``chosen``, which is sorted, and the places in them of these."""
    for start, rows in _blocks(file, name, scaling):
        yield rows, chosen[(chosen >= start) & (chosen < start + len(rows))] - start


def _blocks(file: ArrayFile, name: str, scaling: Scaling) -> Iterator[tuple[int, np.ndarray]]:
    """All rows in order, scaled and flattened, with the number of each block's first row."""
    total = file.shape(name)[0]
    for start in range(0, total, BLOCK):
        rows = scaling.apply(file.rows(name, start, min(start + BLOCK, total)))
        yield start, rows.reshape(len(rows), -1)


def _accuracy(probe: Probe, file: ArrayFile, name: str, scaling: Scaling, truth: np.ndarray) -> float:
    right = sum(
        int((probe(rows) == truth[start : start + len(rows)]).sum()) for start, rows in _blocks(file, name, scaling)
    )
    return right / len(truth)
