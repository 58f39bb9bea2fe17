"""``nnpipe export``: a trained network, or pretrained layers, in a format that other programs read."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Annotated, Literal

import typer

from nnpipe.cli.options import DEFAULT_STORE, Ref, StoreFolder
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
    store: StoreFolder = DEFAULT_STORE,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace PATH if it is there.")] = False,
) -> None:
    """Write a trained network, or a pretrained layer and those below it, to a file in another format."""
    from nnpipe.exporters import find_exporter

    opened = existing_store(store)
    check_place(out, overwrite=overwrite)
    inside = {} if preprocessing == "metadata" else {"preprocessing": preprocessing}
    chosen = find_exporter(kind, part=part, **inside)

    from nnpipe.exporters.exporter import Context
    from nnpipe.exporters.model_card import model_card
    from nnpipe.pipeline.trained import stored_network

    network = stored_network(opened, ref, part)
    # Beside its place, so that it comes there whole by renaming.
    with tempfile.TemporaryDirectory(prefix=f".{out.name}.", dir=out.parent) as beside:
        made = Path(beside) / chosen.filename
        chosen.write(network, made, Context(model_card(network)))
        os.replace(made, out)
    print(out)


def check_place(out: Path, *, overwrite: bool) -> None:
    """Refuse a place where no file can be written, or where one is already."""
    if out.is_dir() or not out.parent.is_dir():
        raise UsageError("no place for a file", where=str(out), expected="a file name in a folder that is there")
    if out.exists() and not overwrite:
        raise UsageError("there is a file already", where=str(out), hint="--overwrite replaces it")
