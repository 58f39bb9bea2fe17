"""Many workers and one shared store: what they ask, and how long they wait for each other.

    python -m benchmarks.many_workers [--workers 10,100,1000] [--stages 3] [--work 1.0] [--place file,s3]

Workers are threads of one process, each with a cache of its own; all want the same recipes in the same order, as runs
of one spec on many machines do. A stage computes by sleeping, and leaves an artifact of 10 kB. The server of S3 is moto
on loopback, which answers one request at a time: seconds are those of this machine, requests are those of any.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import statistics
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from rich.console import Console

from benchmarks.__main__ import drawn
from benchmarks.measure import Table
from nnpipe.store.shared.objects import Objects, objects_at
from nnpipe.store.shared.remote import Remote
from nnpipe.store.shared.store import SharedStore

COLUMNS = ("workers", "computed", "requests", "a worker", "of leases", "requests/s", "ms each", "median s", "last s")
SIZE = 10_000  # bytes of an artifact


@dataclass
class Tally:
    """What all workers asked: the first part of each name, and seconds."""

    folders: list[str] = field(default_factory=list)
    taken: list[float] = field(default_factory=list)


class Counted:
    """Objects that count what they are asked."""

    def __init__(self, objects: Objects, tally: Tally) -> None:
        self.url, self._objects, self._tally = objects.url, objects, tally

    def __getattr__(self, method: str) -> Any:
        call = getattr(self._objects, method)

        def counted(*words: Any) -> Any:
            began = time.perf_counter()
            try:
                return call(*words)
            finally:
                self._tally.taken.append(time.perf_counter() - began)
                named = next(str(word) for word in words if isinstance(word, str))
                self._tally.folders.append(named.partition("/")[0])

        return counted


def main(words: list[str] | None = None) -> int:
    """Carry out a command line, by default the process's own; returns the exit status."""
    parser = argparse.ArgumentParser("python -m benchmarks.many_workers", description=__doc__.partition("\n")[0])
    parser.add_argument("--workers", default="10,100,1000", metavar="N,...")
    parser.add_argument("--stages", type=int, default=3, metavar="N", help="recipes that each worker wants")
    parser.add_argument("--work", type=float, default=1.0, metavar="SECONDS", help="that a stage takes")
    parser.add_argument("--place", default="file,s3", metavar="PLACE,...", help="file, s3")
    given = parser.parse_args(words)
    for place in given.place.split(","):
        with TemporaryDirectory() as scratch, PLACES[place](Path(scratch)) as url:
            cells = []
            for number in map(int, given.workers.split(",")):
                cells.append(measured(f"{url}/{number}", Path(scratch), number, given.stages, given.work))
                print(place, *cells[-1], file=sys.stderr, flush=True)
        title = f"{place}: {given.stages} stages of {given.work} s"
        Console(width=None if sys.stdout.isatty() else 200).print(drawn(Table(title, COLUMNS, tuple(cells))))
    return 0


def measured(url: str, scratch: Path, workers: int, stages: int, work: float) -> tuple[str, ...]:
    """Let ``workers`` ask the store at ``url`` for the same recipes, all at once; a row of the table."""
    tally, computed, begin = Tally(), list[str](), threading.Barrier(workers)
    objects = Counted(objects_at(url), tally)
    Remote(objects).prepare()
    tally.folders.clear()
    tally.taken.clear()
    keys = [hashlib.sha256(f"{url} {number}".encode()).hexdigest() for number in range(stages)]

    def run(number: int) -> float:
        store = SharedStore(scratch / f"{workers}-{number}", Remote(objects), print)
        begin.wait()
        began = time.perf_counter()
        store.prepare()
        for key in keys:
            if store.find(key) is None:
                with store.lock(key):
                    if store.find(key) is None:
                        computed.append(key)
                        _compute(store, key, work)
        return time.perf_counter() - began

    began = time.perf_counter()
    with ThreadPoolExecutor(workers) as pool:
        taken = sorted(pool.map(run, range(workers)))
    wall, count = time.perf_counter() - began, len(tally.taken)
    return (
        f"{workers}", f"{len(computed)}", f"{count:,}", f"{count / workers:.1f}",
        f"{tally.folders.count('leases') / workers:.1f}", f"{count / wall:.0f}",
        f"{1000 * statistics.median(tally.taken):.1f}", f"{statistics.median(taken):.1f}", f"{taken[-1]:.1f}",
    )  # fmt: skip


def _compute(store: SharedStore, key: str, work: float) -> None:
    with store.output(key) as output:
        time.sleep(work)
        output.file("data.bin", hashlib.shake_256(key.encode()).digest(SIZE))
        store.commit(output, key, "ingest", {"stage": "ingest", "key": key}, {})


@contextmanager
def _folder(scratch: Path) -> Iterator[str]:
    yield f"file://{scratch}/place"


@contextmanager
def _s3(_scratch: Path) -> Iterator[str]:
    """A bucket of moto. Requests come one after another: moto creates in two steps, S3 in one."""
    import logging

    from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
    from werkzeug.serving import make_server

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    application, lock = DomainDispatcherApplication(create_backend_app), threading.Lock()

    def answered(environ: Any, start: Any) -> Any:
        with lock:
            return application(environ, start)

    server = make_server("127.0.0.1", 0, answered, threaded=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{server.server_port}"
    os.environ |= {
        "AWS_ENDPOINT_URL": url,
        "AWS_ACCESS_KEY_ID": "benchmark",
        "AWS_SECRET_ACCESS_KEY": "benchmark",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
    }
    urllib.request.urlopen(urllib.request.Request(f"{url}/workers", method="PUT")).close()
    try:
        yield "s3://workers/place"
    finally:
        server.shutdown()


PLACES = {"file": _folder, "s3": _s3}

if __name__ == "__main__":
    sys.exit(main())
