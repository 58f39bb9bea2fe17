"""What bounds the number of machines: the store, Dask's scheduler and Prefect's server, each on this machine.

    python -m benchmarks.scaling [--quick] [--only store,growth,dask,prefect,simulated]

Prints tables, as docs/scaling.md has them, and takes about five minutes. Nothing of this user's Prefect is touched.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.measure import Table, number
from benchmarks.queues import Costs, simulate
from benchmarks.scaling_engines import dask_tables, prefect_tables
from benchmarks.scaling_store import growth_tables, store_tables

GATE = {"local disk": 0.02, "file server": 0.1}  # seconds a stage: the one measured here, the other supposed
DRIVER, PREFECT = 0.04, 0.04  # seconds a stage, measured here


def main(words: list[str] | None = None) -> None:
    """Measure and print."""
    known: dict[str, Callable[[Path, bool], Iterator[Table]]] = {
        "store": store_tables,
        "growth": growth_tables,
        "dask": dask_tables,
        "prefect": prefect_tables,
        "simulated": simulated_tables,
    }
    parser = argparse.ArgumentParser("python -m benchmarks.scaling", description=__doc__.partition("\n")[0])
    parser.add_argument("--only", metavar="NAME,...", help=f"of {', '.join(known)}")
    parser.add_argument("--quick", action="store_true", help="tiny sizes, to see that all runs")
    given = parser.parse_args(words)
    for name in given.only.split(",") if given.only else known:
        with TemporaryDirectory() as scratch:
            for table in known[name](Path(scratch), given.quick):
                print(
                    f"### {table.title}\n",
                    *map(_line, (table.columns, ["---"] * len(table.columns), *table.cells)),
                    sep="\n",
                )
                print(f"\nLoad of the last minute: {os.getloadavg()[0]:.1f}\n", flush=True)


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def simulated_tables(folder: Path, quick: bool) -> Iterator[Table]:
    """How busy workers are, and those whom they share."""
    columns = ("gate on", "stage, s", "workers", "stages a second", "workers busy", "gate", "driver", "Prefect")
    cells = []
    for place, gate in GATE.items():
        for stage in (10.0, 60.0, 600.0):
            for workers in (10, 100, 1_000):
                found = simulate(workers, stage, Costs(gate, DRIVER, PREFECT), rounds=3 if quick else 30)
                shares = (found.busy, found.gate, found.driver, found.prefect)
                told = (f"{share:.0%}" for share in shares)
                cells.append((place, f"{stage:g}", f"{workers:,}", number(found.stages), *told))
    yield Table("Many workers, simulated", columns, tuple(cells))


if __name__ == "__main__":
    main()
