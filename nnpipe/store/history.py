"""Old records of runs. A schedule leaves one each time, and most of them only say that nothing was new."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nnpipe.store.store import Store


def old_runs(store: Store, keep: int, spec: str | None = None) -> Iterator[str]:
    """The names of records beyond the last ``keep`` of each spec, or of ``spec`` alone.

    Those of what a ref names stay.
    """
    named = {store.refs[name] for name in store.refs.names()}
    seen: Counter[str] = Counter()
    for run in store.runs.newest_first():
        seen[run["spec"]] += 1
        wanted = seen[run["spec"]] <= keep or spec not in (None, run["spec"])
        if not wanted and named.isdisjoint(stage["artifact"] for stage in run["stages"]):
            yield str(run["run"])


def forget_runs(store: Store, keep: int, spec: str) -> int:
    """Remove the old records of ``spec``; how many there were. What the runs made is left to ``gc``."""
    old = list(old_runs(store, keep, spec))
    for name in old:
        store.runs.remove(name)
    return len(old)
