"""How fast a large artifact is written, committed and verified, and in how much memory.

python tests/reliability/sweeps/throughput.py --megabytes 256
"""

from __future__ import annotations

import argparse
import hashlib
import os
import resource
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import numpy as np
from cheap_graph import open_store

from nnpipe.store.arrays import ArrayFormat, file_digest
from nnpipe.store.durable import flush
from nnpipe.store.store import Store

KEY = "ab" * 32
ROWS, WIDTH = 1024, 1024  # a block of 4 MiB of float32, as ingestion makes them
T = TypeVar("T")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--megabytes", type=int, default=256)
    parser.add_argument("--format", choices=["hdf5", "zarr"], default="hdf5")
    parser.add_argument("--where", type=Path, help="folder for the store (default: a temporary one)")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.where) as folder:
        measure(open_store(Path(folder) / "artifacts"), options.megabytes, options.format)
    return 0


def measure(store: Store, megabytes: int, kind: ArrayFormat) -> None:
    """Print MB/s of each step and the peak memory."""
    generator = np.random.default_rng(0)  # numbers that do not compress
    blocks = [generator.standard_normal((ROWS, WIDTH), dtype=np.float32) for _ in range(4)]
    before = _peak()
    state = hashlib.sha256()
    _timed("(SHA-256 alone)", megabytes, lambda: [state.update(blocks[n % 4].data) for n in range(megabytes // 4)])
    _timed("(written as a plain file)", megabytes, lambda: _write_plain(store.root / "plain", blocks, megabytes // 4))
    _timed("(and flushed)", megabytes, lambda: flush(store.root / "plain"))
    (store.root / "plain").unlink()
    with store.output(KEY) as output:

        def write() -> None:
            with output.arrays("data", kind) as writer:
                writer.allocate("X", (ROWS * (megabytes // 4), WIDTH), np.float32)
                for number in range(megabytes // 4):
                    writer.append("X", blocks[number % len(blocks)])

        _timed("written and its content hashed", megabytes, write)
        record = _timed("committed: hashed, flushed, moved", megabytes, lambda: _commit(store, output))
    artifact = store.artifact(record)
    _timed("verified", megabytes, lambda: [artifact.verify(name) for name in artifact.manifest.files])
    _timed("content hashed from the file", megabytes, lambda: file_digest(artifact.arrays("data")))
    peak = _peak()
    print(f"peak memory {peak:.0f} MB, {peak - before:.0f} MB above imports and data; {os.cpu_count()} cores")


def _write_plain(path: Path, blocks: list[np.ndarray], count: int) -> None:
    with open(path, "wb", buffering=0) as file:
        for number in range(count):
            file.write(blocks[number % len(blocks)].data)


def _commit(store: Store, output: object) -> str:
    return store.commit(output, KEY, "ingest", {}, {}).artifact  # type: ignore[arg-type]


def _timed(what: str, megabytes: int, work: Callable[[], T]) -> T:
    began = time.perf_counter()
    result = work()
    print(f"{what}: {megabytes / (time.perf_counter() - began):.0f} MB/s")
    return result


def _peak() -> float:
    """MB of the most memory this process had."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    sys.exit(main())
