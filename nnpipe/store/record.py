"""What a store keeps of a recipe that was carried out."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from nnpipe.store.canonical import JSON, canonical_json

FORMAT = "nnpipe-store/1"


@dataclass(frozen=True)
class Record:
    """What the store knows of a recipe that was carried out.

    recipe: the ingredients that were hashed into ``key``.
    made: when, how long, on what: told, never keyed.
    """

    key: str
    artifact: str
    content: str
    recipe: JSON
    made: JSON


def record_bytes(record: Record) -> bytes:
    """A record as it is kept."""
    return canonical_json(asdict(record)) + b"\n"
