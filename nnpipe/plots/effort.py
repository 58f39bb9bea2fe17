"""How many examples a picture can afford to look at: one that asks the network often looks at fewer of them."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING

from nnpipe.plots.picture import Subject

if TYPE_CHECKING:
    import numpy as np

    from nnpipe.models.network import Network

BUDGET = 40_000_000_000  # multiplications: a second or two of one core
FEWEST = 16


def multiplications(network: Network) -> int:
    """What one example costs: every weight is multiplied once at each place of the map that its layer gives."""
    costs = []
    for layer, shape in zip(network.layers, network.architecture.shapes(network.input_shape), strict=True):
        places = prod(shape[1:]) if len(shape) == 3 else 1
        costs.append(places * sum(parameter.numel() for parameter in layer.parameters()))
    return sum(costs)


def affordable(subject: Subject, passes: int, most: int) -> np.ndarray:
    """Places of the test examples that the network can be asked about ``passes`` times, in order: always the same.

    At most ``most`` of them, drawn without their classes being looked at.
    """
    import numpy as np

    cost = max(passes * multiplications(subject.network), 1)
    count = min(most, max(BUDGET // cost, FEWEST), len(subject.inputs))
    return np.sort(np.random.default_rng(0).permutation(len(subject.inputs))[:count])
