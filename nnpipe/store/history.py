"""Old records of runs. A schedule leaves one each time, and most of them only say that nothing was new."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nnpipe.store.canonical import JSON
    from nnpipe.store.store import Store


def old_runs(store: Store, keep: int, spec: str | None = None) -> Iterator[str]:
    """The names of records beyond the last ``keep`` of each spec, or of ``spec`` alone; but some stay.

    Of each artifact that a ref names these are the run that came to it first, which made it, the last one, and the last
    one that measured something.
    """
    runs = list(store.runs.newest_first())
    telling = set(_telling(runs, {store.refs[name] for name in store.refs.names()}))
    seen: Counter[str] = Counter()
    for run in runs:
        seen[run["spec"]] += 1
        wanted = seen[run["spec"]] <= keep or spec not in (None, run["spec"])
        if not wanted and run["run"] not in telling:
            yield str(run["run"])


def _telling(runs: list[JSON], artifacts: set[str]) -> Iterator[str]:
    """The names of those runs, the newest first, that tell of each artifact what there is to tell."""
    for artifact in artifacts:
        came = [run for run in runs if any(stage["artifact"] == artifact for stage in run["stages"])]
        measured = [run for run in came if run["metrics"]]
        yield from (run["run"] for run in (*came[:1], *came[-1:], *measured[:1]))


def forget_runs(store: Store, keep: int, spec: str) -> int:
    """Remove the old records of ``spec``; how many there were. What the runs made is left to ``gc``."""
    old = list(old_runs(store, keep, spec))
    for name in old:
        store.runs.remove(name)
    return len(old)
