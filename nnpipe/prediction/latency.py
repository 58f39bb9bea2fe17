"""How long a network takes for one example, as somebody waits who asks it."""

from __future__ import annotations

import time
from statistics import median
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

    from nnpipe.prediction.model import TrainedModel

WARM_UP = 10  # first calls, which take longer
MOST, LEAST = 300, 20  # calls that are timed
SECONDS = 1.0  # after which no more than the least are


def latency(model: TrainedModel, examples: np.ndarray) -> tuple[float, int]:
    """The median seconds that a network takes for one example, and of how many calls.

    examples: raw, (n, ...), asked one by one and over again. Scaling counts; on the CPU, with as many threads as torch
    has in this process.
    """
    times: list[float] = []
    began = time.perf_counter()
    for number in range(WARM_UP + MOST):
        place = number % len(examples)
        at = time.perf_counter()
        model.predict(examples[place : place + 1])
        times.append(time.perf_counter() - at)
        if number >= WARM_UP + LEAST and time.perf_counter() - began > SECONDS:
            break
    return median(times[WARM_UP:]), len(times) - WARM_UP
