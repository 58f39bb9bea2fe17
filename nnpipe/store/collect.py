"""Garbage collection: finding what nothing reaches any more, and removing it. Nothing else makes the store forget.

Invariant: what a ref reaches, what the last runs and champions reach, and whatever was made or used since the oldest
run under way began, is never touched. What is found is taken out of sight at once, while no run can commit or reuse;
only then is it deleted.
"""

from __future__ import annotations

import os
import re
import shutil
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from nnpipe.store.champions import Champions
from nnpipe.store.durable import explained, make_directory
from nnpipe.store.history import old_runs
from nnpipe.store.lease import WEEK, began, leases
from nnpipe.store.locks import held
from nnpipe.store.removal import take_out

if TYPE_CHECKING:
    from nnpipe.store.canonical import JSON
    from nnpipe.store.record import Record
    from nnpipe.store.store import Store

HOUR = 3600.0
KEY = re.compile(r"(fetch-)?[0-9a-f]{64}")
HALF_WRITTEN = re.compile(r"\..+\.[0-9a-f]{32}")  # as durable.write_file names what it has not renamed yet
COLLECTING = "collecting"


@dataclass(frozen=True)
class Policy:
    """What is kept beside what refs reach.

    keep_runs: how many of the last runs of each spec.
    grace: seconds; what was made or reused since then stays.
    quarantine: whether damaged artifacts that were moved away go too.
    keep_champions: of each name, the champion and those before it that it can go back to.
    keep_records: how many of the last records of runs of each spec, beside those of what refs name; None: all.
    """

    keep_runs: int = 10
    grace: float = HOUR
    quarantine: bool = False
    keep_champions: int = 3
    keep_records: int | None = None


@dataclass(frozen=True)
class Garbage:
    """Something to remove: what it is, how it is told, where it lies, its bytes.

    key: of the lock that is held while it goes, if there is one; if somebody else holds it, it stays.
    """

    what: str
    name: str
    path: Path
    size: int
    key: str | None = None


@dataclass(frozen=True)
class Collection:
    """What was removed, or would be. kept: the number of artifacts that stay; since: all from then on do (epoch)."""

    garbage: tuple[Garbage, ...]
    kept: int
    since: float
    live: tuple[str, ...]

    @property
    def size(self) -> int:
        """Bytes of everything."""
        return sum(item.size for item in self.garbage)


def collect(store: Store, policy: Policy, *, dry_run: bool = False) -> Collection:
    """Remove what ``policy`` does not keep, or only tell it. Others may train meanwhile.

    Raises:
        CorruptionError: a recipe, a run or a move cannot be read, so that nobody knows what it reaches; nothing was
            removed.
    """
    if dry_run:
        return survey(store, policy, time.time())
    with store.lock(COLLECTING):
        return removed(store, lambda: survey(store, policy, time.time()))


def removed(store: Store, find: Callable[[], Collection]) -> Collection:
    """Remove from the folder of a store what ``find`` finds while nothing comes or goes; what really went."""
    trash = store.root / "trash"
    with store.gate():
        found = find()
        with explained(trash):
            make_directory(trash)
            gone = tuple(item for item in found.garbage if take_out(store.root, item, trash))
    with explained(trash):
        shutil.rmtree(trash)
    return Collection(gone, found.kept, found.since, found.live)


def survey(store: Store, policy: Policy, now: float) -> Collection:
    """What could be removed, in the order in which it has to be: recipes first, so that nobody finds the artifacts."""
    live = tuple(path.stem for path, alive in leases(store.root, now) if alive)
    since = min([now, *(began(run) for run in live)]) - policy.grace
    records, there = list(store.recipes()), store.artifacts()
    recent = [id_ for id_ in there if _modified(store.directory(id_)) >= since]
    reached = reachable(store, records, policy, recent)
    garbage = found_in(store, policy, reached, since, now)
    if policy.keep_records is not None:
        garbage += _old_records(store, policy.keep_records)
    return Collection(tuple(garbage), sum(id_ in reached for id_ in there), since, live)


def found_in(store: Store, policy: Policy, reached: set[str], since: float, now: float) -> list[Garbage]:
    """What can go of the folder of a store, but for records of runs; ``reached`` are the artifacts that stay."""
    return [
        *_unreached(store, list(store.recipes()), reached, store.artifacts()),
        *_work(store, now),
        *_remains(store, since, now),
        *(_quarantined(store, since) if policy.quarantine else ()),
    ]


# -- what stays ----------------------------------------------------------------------------------------------


def reachable(store: Store, records: Iterable[Record], policy: Policy, recent: Iterable[str]) -> set[str]:
    """The artifacts that stay, those that are ``recent`` and all that they were made from among them."""
    waiting = [store.refs[name] for name in store.refs.names()]
    seen: Counter[str] = Counter()
    for run in store.runs.newest_first():
        seen[run["spec"]] += 1
        if seen[run["spec"]] <= policy.keep_runs:
            waiting += [stage["artifact"] for stage in run["stages"]]
    champions = Champions(store)
    for name in champions.names():
        waiting += champions.line(name)[-policy.keep_champions :]
    return with_origins(records, [*waiting, *recent])


def with_origins(records: Iterable[Record], artifacts: Iterable[str]) -> set[str]:
    """Artifacts, and all that they were made from."""
    waiting = list(artifacts)
    # The same artifact may have been made in many ways (no pictures, of every network); its last recipe tells one.
    parents: dict[str, JSON] = {}
    for record in sorted(records, key=_age):
        parents[record.artifact] = record.made.get("inputs", {})
    reached: set[str] = set()
    while waiting:
        id_ = waiting.pop()
        if id_ not in reached:
            reached.add(id_)
            waiting += parents.get(id_, {}).values()
    return reached


def _age(record: Record) -> tuple[str, str]:
    """When a recipe was carried out: names of runs tell what seconds do not."""
    return str(record.made.get("at")), str(record.made.get("run"))


# -- what goes -----------------------------------------------------------------------------------------------


def _unreached(store: Store, records: list[Record], reached: set[str], there: list[str]) -> Iterator[Garbage]:
    stages = {record.artifact: record.recipe["stage"] for record in records}
    for record in records:
        if record.artifact not in reached:  # a recipe whose artifact is lost but wanted tells how to make it again
            path = store.recipe_path(record.key)
            yield Garbage("recipe", f"{record.recipe['stage']} {record.key}", path, disk_size(path))
    for id_ in there:
        if id_ not in reached:
            path = store.directory(id_)
            yield Garbage("artifact", f"{stages.get(id_, 'without a recipe')} {id_}", path, disk_size(path))


def _work(store: Store, now: float) -> Iterator[Garbage]:
    """What dead writers left; checkpoints stay for a week, as they are what a killed run resumes from."""
    for folder in sorted((store.root / "work").glob("*")):
        key = folder.name
        if store.busy(key):
            continue
        if not any(_modified(path) >= now - WEEK for path in folder.glob("checkpoint-*")):
            yield Garbage("unfinished work", key, folder, disk_size(folder), key)
            continue
        for output in sorted(folder.glob("output-*")):
            yield Garbage("unfinished output", f"{key}/{output.name}", output, disk_size(output), key)


def _remains(store: Store, since: float, now: float) -> Iterator[Garbage]:
    root = store.root
    for pattern in (".*", "recipes/??/.*", "refs/**/.*", "runs/.*", "moves/*/.*", "work/*/.*"):
        for path in sorted(root.glob(pattern)):
            if HALF_WRITTEN.fullmatch(path.name) and path.is_file() and _modified(path) < since:
                yield Garbage("half-written file", path.relative_to(root).as_posix(), path, disk_size(path))
    for path in sorted((root / "trash").glob("*")):
        yield Garbage("trash", path.name, path, disk_size(path))
    for path in sorted((root / "locks").glob("*.lock")):
        if KEY.fullmatch(path.stem) and _modified(path) < since and not held(path):
            yield Garbage("lock", path.stem, path, 0, path.stem)
    for path, alive in leases(store.root, now):
        if not alive:
            yield Garbage("lease", path.stem, path, 0)


def _quarantined(store: Store, since: float) -> Iterator[Garbage]:
    for path in sorted((store.root / "quarantine").glob("*")):
        if path.stat().st_ctime < since:  # when it was moved there
            yield Garbage("quarantine", path.name, path, disk_size(path))


def _old_records(store: Store, keep: int) -> Iterator[Garbage]:
    for path in map(store.runs.path, old_runs(store, keep)):
        yield Garbage("record of a run", path.stem, path, disk_size(path))


def _modified(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except FileNotFoundError:
        return 0.0  # gone while we looked: its owner took it


def disk_size(path: Path) -> int:
    """Bytes of the files in a folder, or of a file; what goes while we look counts nothing."""
    files = [path] if path.is_file() else [Path(where, name) for where, _, names in os.walk(path) for name in names]
    total = 0
    for file in files:
        with suppress(FileNotFoundError):
            total += file.lstat().st_size
    return total
