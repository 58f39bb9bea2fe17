"""Flip random bits of a small store, and cut its files at every 4 KiB: verification must notice each time.

python tests/reliability/sweeps/corruption_sweep.py --flips 1000
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from cheap_graph import open_store
from soundness import problems

from nnpipe.store.canonical import digest
from nnpipe.store.store import Store

BLOCK = 4096


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--flips", type=int, default=1000)
    parser.add_argument("--cuts", type=int, help="how many of the cuts (default: all)")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        store = filled(Path(folder) / "artifacts")
        random_ = random.Random(options.seed)
        every = list(cuts(store))
        chosen = every if options.cuts is None else random_.sample(every, options.cuts)
        unseen = [where for where in flips(store, options.flips, random_) if where]
        unseen += [
            f"{path} cut to {size} bytes" for path, size in chosen if not is_noticed(store, path, _cut(path, size))
        ]
    for where in unseen:
        print(f"not noticed: {where}")
    print(f"{options.flips} flips, {len(chosen)} cuts, {len(unseen)} not noticed")
    return 1 if unseen else 0


def filled(root: Path) -> Store:
    """A store with one artifact of all kinds of payload, of about half a megabyte."""
    store = open_store(root)
    recipe = {"stage": "model", "inputs": {}, "seed": 0}
    key = digest("nnpipe/recipe/1", recipe)
    values = np.random.default_rng(0).standard_normal((300, 100), dtype=np.float32)
    with store.output(key) as output:
        output.tensors("model", {"weight": values, "bias": values[0]}, recipe)
        for kind in ("hdf5", "zarr"):
            with output.arrays(f"data_{kind}", kind) as writer:  # type: ignore[arg-type]
                writer.allocate("X", values.shape, np.float32)
                writer.append("X", values)
        output.json("history", [{"epoch": epoch, "loss": 1 / epoch} for epoch in range(1, 200)])
        output.file("picture.png", values.tobytes()[:20_000])
        store.commit(output, key, "model", recipe, {"seconds": 0.0})
    assert problems(store) == []
    return store


def payload(store: Store) -> list[Path]:
    """Every file of every artifact, manifests too."""
    return [path for path in sorted((store.root / "objects").rglob("*")) if path.is_file()]


def flips(store: Store, count: int, random_: random.Random) -> Iterator[str]:
    """Flip one random bit at a time; what was flipped where it was not noticed, else nothing."""
    files = payload(store)
    sizes = [path.stat().st_size for path in files]
    for _ in range(count):
        path = random_.choices(files, sizes)[0]
        data = bytearray(path.read_bytes())
        bit = random_.randrange(8 * len(data))
        data[bit // 8] ^= 1 << bit % 8
        yield "" if is_noticed(store, path, bytes(data)) else f"bit {bit} of {path}"


def cuts(store: Store) -> Iterator[tuple[Path, int]]:
    """Every file at every multiple of 4 KiB below its size, 0 included."""
    for path in payload(store):
        for size in range(0, path.stat().st_size, BLOCK):
            yield path, size


def is_noticed(store: Store, path: Path, damaged: bytes) -> bool:
    """Whether verification notices that ``path`` holds ``damaged``; the file is restored afterwards."""
    whole = path.read_bytes()
    path.write_bytes(damaged)
    try:
        return any(path.parent.name in problem or path.name in problem for problem in problems(store))
    finally:
        path.write_bytes(whole)


def _cut(path: Path, size: int) -> bytes:
    return path.read_bytes()[:size]


if __name__ == "__main__":
    sys.exit(main())
