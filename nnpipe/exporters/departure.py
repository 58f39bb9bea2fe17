"""A network that leaves: its parts are written to files, run beside them on real examples, and told of in a card."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING

from nnpipe.exporters.exporter import Context, computed_by
from nnpipe.exporters.model_card import Facts, File, model_card
from nnpipe.exporters.verification import Verification, Verifier

if TYPE_CHECKING:
    import numpy as np

    from nnpipe.exporters.exporter import Exporter
    from nnpipe.models.architecture import Model
    from nnpipe.models.network import Network
    from nnpipe.models.parts import PartName


@dataclass(frozen=True)
class Samples:
    """Raw examples, (n, *input_shape): some that were learnt from, some that were not, and the answers of these."""

    training: np.ndarray
    test: np.ndarray
    answers: np.ndarray


class Departure:
    """Parts of one network on their way out.

    part: gives each of them; it may refuse some.
    samples: to calibrate and to verify by; None: there are none any more.
    architecture: the caller's own, where the network has layers of the user's own.
    """

    def __init__(
        self,
        part: Callable[[PartName], Network],
        facts: Facts,
        samples: Samples | None,
        architecture: Model | None = None,
    ) -> None:
        self.samples = samples
        self._facts, self._architecture = facts, architecture
        self.part, self._verifier = cache(part), cache(self._verifier_of)

    def leave(self, exporter: Exporter, path: Path) -> Verification:
        """Write the part that ``exporter`` wants to ``path``, which does not exist yet, and run the file.

        Raises:
            StageError: the format cannot hold the network, or the file computes something else.
            UsageError: the network has no such part.
        """
        return self.leaving(exporter, path)()

    def leaving(self, exporter: Exporter, path: Path) -> Callable[[], Verification]:
        """Write it as ``leave`` does; what runs the file remains to be called, and may be in another thread."""
        network = self.part(exporter.part)
        examples = network.scaling.apply(self._seen(exporter.part, self.samples.training)) if self.samples else None
        inside = File(exporter.inner.filename, exporter.inner)
        exporter.write(network, path, Context(self.card([inside], exporter.part), examples))
        return partial(self._verifier(exporter.part).verify, exporter, path) if self.samples else Verification

    def card(self, files: Sequence[File], part: PartName = "whole") -> str:
        """The model card of a part, as ``model_card`` makes it."""
        return model_card(self.part(part), self._facts, files)

    def _seen(self, part: PartName, raw: np.ndarray) -> np.ndarray:
        """What ``part`` reads where the whole reads ``raw``: a decoder reads codes."""
        if part != "decoder":
            return raw
        encoder = self.part("encoder")
        return computed_by(encoder)(encoder.scaling.apply(raw))

    def _verifier_of(self, part: PartName) -> Verifier:
        assert self.samples is not None
        network = self.part(part)
        labels = self.samples.answers if network.class_names else None
        return Verifier(network, self._seen(part, self.samples.test), labels, self._architecture)
