"""How the cost of looking grows: with the number of stages, of artifacts in the store, and with their size."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Mapping
from dataclasses import asdict
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.measure import Options, Result, Table, Turn, figures, number, seconds, spread, take_turns
from benchmarks.prefect import SPEC
from benchmarks.processes import NNPIPE, timed, turn
from nnpipe import api
from nnpipe.pipeline.recipe import recipe_key
from nnpipe.store.artifact import MANIFEST, Manifest
from nnpipe.store.canonical import canonical_json
from nnpipe.store.record import Record
from nnpipe.store.store import Store

ROUNDS = 5
DEPTHS = (1, 10, 50, 100)  # pretrained layers, a stage each
COUNTS = (10, 1_000, 10_000)  # artifacts
SIZES = (1, 64, 512)  # MB
A_RUN = 10  # artifacts that each run made
REF_EVERY = 4  # runs
DAY = 86_400.0


def run(options: Options) -> Result:
    """Plans in this process, which planned before; all else by the command line, whole processes."""
    rounds = options.rounds_or(ROUNDS)
    with TemporaryDirectory() as scratch:
        folder = Path(scratch)
        tables = (
            _stages(folder, DEPTHS[:2] if options.quick else DEPTHS, rounds),
            _artifacts(folder, COUNTS[:1] if options.quick else COUNTS, rounds),
            _sizes(folder, SIZES[:1] if options.quick else SIZES, rounds),
        )
    about = "Plans are made in a process that has planned before; verbs are whole processes, by the wall"
    return Result(f"{about}. Artifacts are of 100 bytes, {A_RUN} a run; gc only tells (--dry-run).", tables=tables)


# -- stages --------------------------------------------------------------------------------------------------


def _stages(folder: Path, depths: tuple[int, ...], rounds: int) -> Table:
    plans = {depth: partial(api.plan, _deep(depth), store=folder / "none") for depth in depths}
    counts = {f"{len(plan().stages)}": plan for plan in plans.values()}  # the first plan imports
    turns = take_turns({count: partial(_timed, plan) for count, plan in counts.items()}, rounds)
    return Table("Time to plan by stages", ("stages", "seconds"), _told(turns))


def _timed(plan: Callable[[], object], _round: int) -> Turn:
    return Turn(seconds(plan))


def _deep(depth: int) -> dict[str, object]:
    hidden = [{"kind": "dense", "units": 8, "activation": "sigmoid"}] * depth
    return {
        "version": 1,
        "name": "deep",
        "data": {"source": {"kind": "digits"}},
        "model": {"layers": [*hidden, {"kind": "dense", "units": 10, "activation": "softmax"}]},
        "pretrain": {"method": {"kind": "rbm"}, "epochs": 1},
        "train": {"epochs": 1},
    }


def _told(turns: Mapping[str, list[Turn]]) -> tuple[tuple[str, ...], ...]:
    return tuple((name, spread(figures(own), "s")) for name, own in turns.items())


# -- artifacts -----------------------------------------------------------------------------------------------


def _artifacts(folder: Path, counts: tuple[int, ...], rounds: int) -> Table:
    spec = folder / "small.yaml"
    spec.write_text(SPEC)
    verbs = {
        "plan": ("plan", str(spec)),
        "run, nothing to do": ("run", str(spec)),
        "ls": ("ls",),
        "gc --dry-run": ("gc", "--dry-run"),
        "verify": ("verify",),
    }
    works: dict[str, Callable[[int], Turn]] = {}
    for count in counts:
        store = folder / f"artifacts{count}"
        timed([*NNPIPE, "run", str(spec), "--store", str(store), "--engine", "local", "--quiet"], folder)
        fill(Store(store), count)
        for verb, words in verbs.items():
            works[f"{verb} {count}"] = partial(turn, (*NNPIPE, *words, "--store", str(store)), folder)
    turns = take_turns(works, rounds)
    cells = [(f"{count:,}", *(spread(figures(turns[f"{verb} {count}"]), "s") for verb in verbs)) for count in counts]
    return Table("Time by artifacts in the store", ("artifacts", *verbs), tuple(cells))


def fill(store: Store, count: int, size: int = 100) -> None:
    """Put in ``count`` artifacts of ``size`` bytes, as so many runs leave them, but not flushed to disk: that is slow.

    They are a day old, so that gc does not keep them as new; of every ``REF_EVERY`` runs, one has a ref.
    """
    store.prepare()
    made: list[str] = []
    for i in range(count):
        data = hashlib.shake_256(str(i).encode()).digest(100) * -(-size // 100)
        digest = hashlib.sha256(data).hexdigest()
        manifest = Manifest("ingest", digest, {"data": digest}, {"data.bin": (len(data), digest)})
        document = canonical_json(manifest.to_json())
        made.append(hashlib.sha256(document).hexdigest())
        directory = store.directory(made[-1])
        _write(directory / MANIFEST, document)
        _write(directory / "data.bin", data)
        recipe = {"stage": "ingest", "number": i}
        record = Record(recipe_key(recipe), made[-1], digest, recipe, {"run": "", "at": "", "inputs": {}})
        _write(store.recipe_path(record.key), canonical_json(asdict(record)))
        marks = store.artifact(made[-1]).marks()
        store.memo.put(f"sound:{made[-1]}", marks)
        then = directory.stat().st_mtime - DAY
        os.utime(directory, (then, then))
    for number_, start in enumerate(range(0, count, A_RUN)):
        name = f"20260101-{number_ // 3600 % 24:02}{number_ // 60 % 60:02}{number_ % 60:02}-many-000000ab"
        stages = [{"name": "ingest", "artifact": id_} for id_ in made[start : start + A_RUN]]
        _write(store.runs.path(name), canonical_json({"run": name, "spec": "many", "status": "done", "stages": stages}))
        if number_ % REF_EVERY == 0:
            _write(store.refs.root / "many" / f"run{number_}", made[start].encode())
    store.memo.save()


def _write(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


# -- size ----------------------------------------------------------------------------------------------------


def _sizes(folder: Path, sizes: tuple[int, ...], rounds: int) -> Table:
    works: dict[str, Callable[[int], Turn]] = {}
    for size in sizes:
        store = folder / f"megabytes{size}"
        fill(Store(store), 1, size * 1_000_000)
        works[f"{size}"] = partial(turn, (*NNPIPE, "verify", "--store", str(store)), folder)
    turns = take_turns(works, rounds)
    cells = []
    for size in sizes:
        taken = figures(turns[f"{size}"])
        cells.append((f"{size}", spread(taken, "s"), number(size / min(taken))))
    return Table("Time to verify by size", ("MB", "seconds", "MB/s, best round"), tuple(cells))
