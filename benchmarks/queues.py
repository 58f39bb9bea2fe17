"""Many workers that ask one store, one driver and one Prefect server: what they wait for, simulated.

A worker computes a stage, has it committed under the store's gate, tells the driver (whoever began the runs, and Dask's
scheduler) and gets the next stage. Gate and driver serve one at a time, in order of arrival. Prefect is told meanwhile:
nobody waits for it, but what it cannot take in piles up.
"""

from __future__ import annotations

import heapq
import random
from dataclasses import dataclass


@dataclass(frozen=True)
class Costs:
    """Seconds of service that a stage costs each of those whom all workers share."""

    gate: float
    driver: float
    prefect: float


@dataclass(frozen=True)
class Outcome:
    """What workers got done.

    busy: the share of their time that they computed.
    gate, driver: the share of its time that each was busy.
    prefect: seconds of work for Prefect's server that come in in a second; above 1 it falls behind.
    """

    busy: float
    stages: float
    gate: float
    driver: float
    prefect: float


def simulate(workers: int, stage: float, costs: Costs, *, rounds: int = 30, seed: int = 0) -> Outcome:
    """Let each worker carry out about ``rounds`` stages; they take ``stage`` seconds on average, as chance has it.

    >>> simulate(1, 9.0, Costs(gate=0.5, driver=0.5, prefect=1.0), rounds=10_000).busy  # 9 of 10 s
    """
    chance = random.Random(seed)
    # (when, worker, what comes next); nobody begins at the same moment as the others
    events = [(chance.expovariate(1 / stage), worker, "gate") for worker in range(workers)]
    heapq.heapify(events)
    free = {"gate": 0.0, "driver": 0.0}
    service = {"gate": costs.gate, "driver": costs.driver}
    done = 0
    while done < rounds * workers:
        now, worker, where = heapq.heappop(events)
        free[where] = max(now, free[where]) + service[where]
        if where == "gate":
            heapq.heappush(events, (free[where], worker, "driver"))
        else:
            done += 1
            heapq.heappush(events, (free[where] + chance.expovariate(1 / stage), worker, "gate"))
    rate = done / free["driver"]
    return Outcome(
        busy=rate * stage / workers,
        stages=rate,
        gate=rate * costs.gate,
        driver=rate * costs.driver,
        prefect=rate * costs.prefect,
    )
