"""``nnpipe validate``, ``schema`` and ``init``: the grammar of specs, and specs to begin with."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nnpipe.errors import SpecError, UsageError

if TYPE_CHECKING:
    from nnpipe.pipeline.spec import Spec

FIRST = "digits.yaml"  # the starter that needs no download


def validate(
    specs: Annotated[list[Path], typer.Argument(metavar="SPEC...", help="YAML files.", show_default=False)],
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Show every layer and its shape.")] = False,
) -> None:
    """Check specs; name every mistake, its line and column."""
    from nnpipe.pipeline.graph import stages_of
    from nnpipe.pipeline.spec import check_spec
    from nnpipe.pipeline.sweep import read_family
    from nnpipe.spec.document import Document
    from nnpipe.spec.matrix import has_matrix

    wrong = 0
    for path in specs:
        root = path.resolve().parent
        try:
            document = Document.read(path)
            if has_matrix(document):
                family = read_family(document, (), root)
                print(f"{path}: ok ({len(family.members)} combinations)")
                continue
            spec = check_spec(document, (), root)
        except SpecError as error:
            wrong += 1
            print("\n".join(f"error: {problem}" for problem in error.problems), file=sys.stderr)
            continue
        layers = _layers(spec, root)
        sizes = f", {_count([count for *_, count in layers])} parameters" if layers else ""
        print(f"{path}: ok ({len(stages_of(spec))} stages{sizes})")
        if verbose and layers:
            print("\n".join(_table(layers)))
    if wrong:
        raise typer.Exit(UsageError.exit_status)


def schema() -> None:
    """Print the JSON Schema of specs, for editors."""
    from nnpipe.pipeline.spec import Spec
    from nnpipe.spec import json_schema
    from nnpipe.spec.matrix import MATRIX, SCHEMA

    document: dict[str, Any] = {
        **json_schema(Spec),
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "A spec of nnpipe",
    }
    document["properties"] = {**document["properties"], MATRIX: SCHEMA}
    print(json.dumps(document, indent=2, sort_keys=True))


def init(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Where to write them.")] = Path("specs"),
) -> None:
    """Write specs to begin with; overwrite nothing."""
    starters = {folder / path.relative_to(_starters()): path for path in sorted(_starters().rglob("*.yaml"))}
    for target in starters:
        if target.exists():
            hint = "give another folder: nnpipe init DIR"
            raise UsageError("there is a spec already, and it stays", where=str(target), hint=hint)
    for target, starter in starters.items():
        target.parent.mkdir(parents=True, exist_ok=True)
        with open(target, "xb") as file:
            file.write(starter.read_bytes())
        print(f"wrote {target}")
    print(f"\nNext: nnpipe run {folder / FIRST}")


def _starters() -> Path:
    """The starter specs: inside an installed package, or in the checkout."""
    package = Path(__file__).parents[1]
    packed = package / "starters"
    return packed if packed.is_dir() else package.parent / "specs"


def _layers(spec: Spec, root: Path) -> list[tuple[str, str, int | None]]:
    """(kind, shape that leaves it, parameters) of every layer; empty where only reading the data tells the shape."""
    shape = spec.data.source.describe(root).shape
    if shape is None:
        return []
    model = spec.model.unrolled(shape)
    rows: list[tuple[str, str, int | None]] = [("input", _times(shape), 0)]
    given = model.first_shape(shape)
    for layer, after in zip(model.layers, model.shapes(shape), strict=True):
        rows.append((layer.kind, _times(after), layer.parameters(given)))
        given = after
    return rows


def _table(layers: list[tuple[str, str, int | None]]) -> list[str]:
    from nnpipe.cli.text import table

    rows = [(f"  {kind}", shape, _count([count])) for kind, shape, count in layers]
    return table(("  layer", "shape", "parameters"), rows, "<>>")


def _times(shape: tuple[int, ...]) -> str:
    return "x".join(map(str, shape))


def _count(counts: list[int | None]) -> str:
    """A sum; "?" stands for what only building a layer tells."""
    known = f"{sum(filter(None, counts)):,}"
    return known if None not in counts else f"{known} + ?" if any(counts) else "?"
