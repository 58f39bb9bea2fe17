"""Measure, print tables, and keep what was found in docs/performance.md and docs/performance.json.

    python -m benchmarks [--only convnet,rbm] [--rounds N] [--quick] [--threads 2] [--gpu] [--out FOLDER]

Takes about twenty minutes on two quiet cores. Exit status 1 if a benchmark failed; to miss a target is no failure.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path

from rich.console import Console
from rich.table import Table as RichTable

from benchmarks import BENCHMARKS, ON_GPU, ROOT
from benchmarks.apart import Outcome, run_apart
from benchmarks.measure import HEADINGS, Options, Table
from benchmarks.page import heading, keep, summary


def main(words: list[str] | None = None) -> int:
    """Carry out a command line, by default the process's own; returns the exit status."""
    parser = argparse.ArgumentParser("python -m benchmarks", description=__doc__.partition("\n")[0])
    parser.add_argument("--only", metavar="NAME,...", help=f"of {', '.join([*BENCHMARKS, *ON_GPU])}")
    parser.add_argument("--rounds", type=_positive, metavar="N", help="by default each benchmark's own number")
    parser.add_argument("--threads", type=_positive, default=2, metavar="N")
    parser.add_argument("--gpu", action="store_true", help="those that need a GPU, in place of all others")
    parser.add_argument("--quick", action="store_true", help="tiny sizes, to see that all runs; kept only in --out")
    parser.add_argument("--out", type=Path, metavar="FOLDER", help="by default docs")
    given = parser.parse_args(words)
    known = BENCHMARKS | ON_GPU
    names = given.only.split(",") if given.only else list(ON_GPU if given.gpu else BENCHMARKS)
    if unknown := [name for name in names if name not in known]:
        parser.error(f"no benchmark {', '.join(unknown)}; there are {', '.join(known)}")
    options = Options(given.rounds, given.quick, given.threads)
    outcomes = dict(_carried_out({name: known[name] for name in names}, options))
    _show(outcomes, Console(width=None if sys.stdout.isatty() else 200))
    folder = given.out or (None if given.quick else ROOT / "docs")
    unexplained = keep(folder, outcomes) if folder else []
    if folder and not given.quick:
        for name in unexplained:
            print(f"{folder / 'performance.md'} does not say yet, under '{heading(name)}', why {name} is not faster")
    return int(any(outcome.problem for outcome in outcomes.values()))


def _positive(word: str) -> int:
    if (value := int(word)) < 1:
        raise argparse.ArgumentTypeError(f"a number from 1, not {word}")
    return value


def _carried_out(modules: Mapping[str, str], options: Options) -> Iterable[tuple[str, Outcome]]:
    for name, module in modules.items():
        print(f"{name}", file=sys.stderr, flush=True)
        yield name, run_apart(name, module, options)


def _show(outcomes: Mapping[str, Outcome], console: Console) -> None:
    console.print(drawn(Table("", ("benchmark", *HEADINGS), tuple(summary(outcomes)))))
    for outcome in outcomes.values():
        for table in outcome.result.tables if outcome.result else ():
            console.print(drawn(table))


def drawn(table: Table) -> RichTable:
    """A table for a console."""
    drawn = RichTable(*table.columns, title=table.title or None)
    for cells in table.cells:
        drawn.add_row(*cells)
    return drawn


if __name__ == "__main__":
    sys.exit(main())
