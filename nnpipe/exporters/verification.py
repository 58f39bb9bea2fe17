"""Whether an exported file computes what its network computes: both are run on the same examples."""

from __future__ import annotations

import math
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, repeat
from typing import TYPE_CHECKING

from nnpipe.errors import StageError
from nnpipe.exporters.exporter import computed_by

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np

    from nnpipe.exporters.exporter import Exporter
    from nnpipe.models.architecture import Model
    from nnpipe.models.network import Network

BATCHES, LARGER = (1, 3, 64), 250  # a format may fix the size of a batch silently
TOLERANCE = 1e-4  # of outputs; of their size, where that is above 1
ROUNDING = 1e-6  # differences below it come from the order of summation


@dataclass(frozen=True)
class Verification:
    """What came out when a file was run beside its network; as it is by default: nothing here runs it.

    verified: whether it computes what the network computes or, where the format is not exact, loses no more accuracy
        than it may. Not exact and without classes, there is nothing to judge it by.
    examples: how many both were run on.
    largest_difference: of outputs, relative to outputs above 1, rounded up to a power of ten: so rounded it does not
        depend on how many threads computed them.
    same_classes: the fraction of examples of which both say the same class.
    accuracy: the fraction of which the file says the right class; ``accuracy_of_network`` beside it. None, as
        ``same_classes`` is, where there are no classes.
    """

    verified: bool = False
    examples: int = 0
    largest_difference: float | None = None
    same_classes: float | None = None
    accuracy: float | None = None
    accuracy_of_network: float | None = None

    def told(self) -> str:
        """All of it in a line."""
        if self.largest_difference is None:
            return "not verified"
        told = f"outputs differ from the network's by at most {self.largest_difference:g}"
        if self.accuracy is not None and self.same_classes is not None:
            network = f"{self.accuracy_of_network:.4f}" if self.accuracy != self.accuracy_of_network else "the same"
            told += f", accuracy {self.accuracy:.4f} (the network's: {network}), same class for {self.same_classes:.2%}"
        examples = f"{self.examples:,} test example{'' if self.examples == 1 else 's'}"
        return f"{'verified' if self.verified else 'run, not verified,'} on {examples}: {told}"


class Verifier:
    """Runs files of ``network``, which is on the CPU, on ``raw`` examples: (n, *input_shape), at least one.

    labels: (n,) int64; None where the network tells no classes.
    architecture: the caller's own, where the network has layers of the user's own.
    """

    def __init__(
        self, network: Network, raw: np.ndarray, labels: np.ndarray | None, architecture: Model | None = None
    ) -> None:
        run = computed_by(network)
        self._network, self._architecture, self._labels = network, architecture, labels
        self._threshold = 0.0 if network.architecture.last_activation == "linear" else 0.5
        self._batches = list(_batches(raw))
        self._outputs = [run(network.scaling.apply(batch)) for batch in self._batches]

    def verify(self, exporter: Exporter, path: Path) -> Verification:
        """Run the file at ``path``, which is of the format ``exporter``, and compare.

        Raises:
            StageError: its outputs differ by more than rounding explains or, of a format that is not exact, are not
                finite or too often another class.
        """
        reads = [exporter.reads(self._network, batch) for batch in self._batches]
        found = exporter.outputs(path, reads, self._architecture)
        if found is None:
            return Verification()
        expected = [exporter.gives(self._network, outputs) for outputs in self._outputs]
        difference = largest_difference(expected, found)
        if not difference <= (TOLERANCE if exporter.exact else sys.float_info.max):
            raise StageError(
                f"the {exporter.label} file does not compute what the network computes",
                where="export",
                expected=f"outputs that differ by at most {TOLERANCE:g}" if exporter.exact else "finite outputs",
                found=f"a difference of {difference:.2g}",
                hint=f"leave {exporter.label} out of 'export'",
            )
        examples = sum(map(len, self._batches))
        rounded = float(f"1e{math.ceil(math.log10(max(difference, ROUNDING)))}")
        if self._labels is None:
            return Verification(exporter.exact, examples, rounded)
        said, right = self._classes(found), self._classes(expected)
        counts = [int((a == b).sum()) for a, b in ((said, right), (said, self._labels), (right, self._labels))]
        if not exporter.exact:
            self._check_loss(exporter, counts[1], counts[2])
        return Verification(True, examples, rounded, *(count / examples for count in counts))

    def _classes(self, outputs: Sequence[np.ndarray]) -> np.ndarray:
        """The class of each example, (n,), as ``nnpipe.models.network.classify`` finds it."""
        import numpy as np

        whole = np.concatenate(outputs)
        return whole.argmax(axis=1) if whole.shape[1] > 1 else (whole[:, 0] > self._threshold).astype(np.int64)

    def _check_loss(self, exporter: Exporter, right: int, expected: int) -> None:
        examples = sum(map(len, self._batches))
        allowed = exporter.allowed_loss() * examples
        if expected - right > allowed + 1e-9:  # the product is rounded
            raise StageError(
                f"the {exporter.kind} file loses more accuracy than it may",
                where="export",
                expected=f"at least {max(0, math.ceil(expected - allowed - 1e-9))} of {examples} test examples right",
                found=f"{right} right; the network itself has {expected}",
                hint=f"allow a larger loss, or leave {exporter.kind} out of 'export'",
            )


def largest_difference(expected: Sequence[np.ndarray], found: Sequence[np.ndarray]) -> float:
    """The largest difference of outputs, batch by batch, relative to outputs above 1; infinite for another shape."""
    import numpy as np

    worst = []
    for wanted, given in zip(expected, found, strict=True):
        if given.shape != wanted.shape:
            return math.inf
        worst.append((np.abs(given - wanted) / np.maximum(1, np.abs(wanted))).max())
    return float(np.max(worst))  # not a number, if any of them is


def _batches(inputs: np.ndarray) -> Iterator[np.ndarray]:
    start = 0
    for size in chain(BATCHES, repeat(LARGER)):
        if start >= len(inputs):
            return
        yield inputs[start : start + size]
        start += size
