from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from pydantic import ValidationError

from nnpipe.datasets.data import Data
from nnpipe.datasets.sources import AnySource
from nnpipe.datasets.sources.source import Source
from nnpipe.spec import identity, members
from nnpipe.store.canonical import canonical_json

SOURCES: tuple[type[Source], ...] = tuple(members(AnySource))
LEAST = {
    "idx": {"images": "x", "labels": "y"},
    "image_folder": {"path": "p"},
    "arrays": {"path": "p.npz", "images": "X", "labels": "y"},
}


def read(**fields: object) -> Data:
    """As a spec is read: strictly, from JSON."""
    return Data.model_validate_json(json.dumps({"source": "digits", **fields}), strict=True)


@pytest.mark.parametrize("source", SOURCES, ids=lambda source: source.model_fields["kind"].default)
def test_every_source_is_a_part_of_a_spec_in_a_file_of_its_name(source: type[Source]) -> None:
    kind = source.model_fields["kind"].default
    data = read(source={"kind": kind, **LEAST.get(kind, {})})
    assert type(data.source) is source
    assert source.__module__ == f"nnpipe.datasets.sources.{kind}"
    assert json.loads(canonical_json(identity(data)))["source"]["kind"] == kind
    assert source.unkeyed <= set(source.model_fields)


def test_a_bare_word_is_a_source_with_its_defaults() -> None:
    assert read() == read(source={"kind": "digits"})


@pytest.mark.parametrize("fields", [{"validation": 10_000}, {"validation": 0.1, "test": 0.2}, {"test": 50}])
def test_splits_are_numbers_or_fractions(fields: dict[str, float]) -> None:
    data = read(**fields)
    for name, value in fields.items():
        assert getattr(data, name) == value
        assert type(getattr(data, name)) is type(value)


@pytest.mark.parametrize("fields", [{"validation": -1}, {"validation": 1.5}, {"validation": True}, {"test": 0}])
def test_splits_that_are_neither_are_refused(fields: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        read(**fields)


def test_planning_loads_nothing_heavy() -> None:
    program = """
import sys
from pathlib import Path
from nnpipe.datasets.data import Data
from nnpipe.stages.ingest import Ingest
for kind in ("digits", "two_classes"):
    source = Data.model_validate({"source": kind}).source
    Ingest(source=source)
    source.describe(Path()), source.files(Path())
heavy = {"torch", "torchvision", "sklearn", "scipy", "matplotlib", "prefect", "numpy", "PIL", "h5py", "zarr"}
print(sorted(heavy & set(sys.modules)))
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=Path.cwd())
    assert done.stdout.strip() == "[]"
