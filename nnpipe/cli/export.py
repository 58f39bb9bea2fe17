"""``nnpipe export``: a network, or pretrained layers, in a format of other programs, verified, with its model card."""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path
from typing import Annotated, Literal

import typer

from nnpipe.cli.options import DEFAULT_STORE, Ref, StorePlace
from nnpipe.cli.store import existing_store
from nnpipe.errors import UsageError


def export(
    ref: Ref,
    kind: Annotated[str, typer.Option("--format", metavar="F", help="keras_h5, onnx, ...", show_default=False)],
    out: Annotated[Path, typer.Option(metavar="PATH", help="The file to write.", show_default=False)],
    part: Annotated[
        Literal["whole", "encoder", "decoder"],
        typer.Option(help="Of an autoencoder, and of pretrained layers: what gives codes, or what reads them."),
    ] = "whole",
    preprocessing: Annotated[
        Literal["metadata", "inside"],
        typer.Option(help="inside: the file reads raw values, and scales them by itself."),
    ] = "metadata",
    store: StorePlace = DEFAULT_STORE,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace PATH if it is there.")] = False,
    card: Annotated[bool, typer.Option("--card/--no-card", help="Write its model card to PATH.md.")] = True,
) -> None:
    """Write a trained network, or a pretrained layer and those below it, to a file in another format.

    The file is run on test examples, to see that it is the same network.
    """
    from nnpipe.exporters import find_exporter
    from nnpipe.exporters.model_card import File
    from nnpipe.pipeline.trained import departure_of

    opened = existing_store(store)
    places = [out, Path(f"{out}.md")] if card else [out]
    for place in places:
        check_place(place, overwrite=overwrite)
    inside = {} if preprocessing == "metadata" else {"preprocessing": preprocessing}
    chosen = find_exporter(kind, part=part, **inside)
    departure = departure_of(opened, ref)
    # Beside its place, so that it comes there whole by renaming.
    with tempfile.TemporaryDirectory(prefix=f".{out.name}.", dir=out.parent) as beside:
        made = Path(beside) / chosen.file
        verification = departure.leave(chosen, made)
        if card:
            text = departure.card([File(out.name, chosen, verification)], chosen.part)
            (Path(beside) / "card").write_text(text, encoding="utf-8")
            os.replace(Path(beside) / "card", places[-1])
        os.replace(made, out)
    told = verification.told()
    if not verification.examples:
        told += (
            f": nothing here runs {chosen.kind} files" if departure.samples else ": its data are no longer in the store"
        )
    print(told, file=sys.stderr)
    print(out)


def check_place(out: Path, *, overwrite: bool) -> None:
    """Refuse a place where no file can be written, or where one is already."""
    if out.is_dir() or not out.parent.is_dir():
        raise UsageError("no place for a file", where=str(out), expected="a file name in a folder that is there")
    if out.exists() and not overwrite:
        raise UsageError("there is a file already", where=str(out), hint="--overwrite replaces it")
