"""How a trained network came about, as far as the store still knows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from nnpipe.stages.card_facts import Stated

if TYPE_CHECKING:
    from nnpipe.store.artifact import Artifact
    from nnpipe.store.record import Record
    from nnpipe.store.store import Store


@dataclass(frozen=True)
class Provenance:
    """data: what it was trained on; evaluation: what was measured of it; None: no longer there, or never was.

    stated: what the spec of the last run that had it says; nothing, where no run came as far as to export it.
    """

    data: Artifact | None
    evaluation: Artifact | None
    stated: Stated


def provenance(store: Store, model: Artifact) -> Provenance:
    """What is known of the network in the artifact ``model``: records of recipes name the inputs of what they made."""
    records = sorted(store.records(), key=lambda record: str(record.made.get("at")), reverse=True)
    trained = (record for record in records if record.artifact == model.id)
    read = [record for record in records if record.made.get("inputs", {}).get("model") == model.id]
    exported = next(_of_stage(read, "export"), None)
    config = exported.recipe["config"] if exported else {}
    return Provenance(
        data=next(_present(store, (record.made.get("inputs", {}).get("data") for record in trained)), None),
        evaluation=next(_present(store, (record.artifact for record in _of_stage(read, "evaluate"))), None),
        stated=_stated(config),
    )


def _of_stage(records: list[Record], stage: str) -> Iterator[Record]:
    return (record for record in records if record.recipe["stage"] == stage)


def _present(store: Store, ids: Iterator[str | None]) -> Iterator[Artifact]:
    return (store.artifact(id_) for id_ in ids if id_ and store.has(id_))


def _stated(config: Mapping[str, Any]) -> Stated:
    try:
        return Stated.model_validate({name: config[name] for name in Stated.model_fields if name in config})
    except ValueError:  # another version of nnpipe had other fields
        return Stated()
