"""What teaches pretrained layers together: an objective of the training loop that can also give the layers back."""

from __future__ import annotations

from collections.abc import Mapping
from threading import Event
from typing import Protocol

from torch import Tensor

from nnpipe.training.examples import Examples
from nnpipe.training.objective import Objective


class JointObjective(Objective, Protocol):
    """An objective whose module has all the layers."""

    def layers(self) -> list[dict[str, Tensor]]:
        """What a network starts from, from the first layer: ``weight`` and ``bias`` of each.

        ``visible_bias`` and ``decoder_weight``, (visible, hidden), where there is a way back.
        """

    def conclude(self, splits: Mapping[str, Examples], stopping: Event) -> dict[str, float]:
        """Measures of the whole, when it has learned; none where nothing was asked for. splits: as it learned them.

        Raises:
            Interrupted: ``stopping`` was set.
        """
