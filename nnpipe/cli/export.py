"""``nnpipe export``: a trained network in a format that other programs read."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Annotated

import typer

from nnpipe.cli.options import DEFAULT_STORE, Ref, StoreFolder
from nnpipe.cli.store import existing_store
from nnpipe.errors import UsageError


def export(
    ref: Ref,
    kind: Annotated[str, typer.Option("--format", metavar="F", help="keras_h5, onnx, ...", show_default=False)],
    out: Annotated[Path, typer.Option(metavar="PATH", help="The file to write.", show_default=False)],
    store: StoreFolder = DEFAULT_STORE,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace PATH if it is there.")] = False,
) -> None:
    """Write a trained network to a file in another format."""
    from nnpipe.exporters import find_exporter
    from nnpipe.pipeline.trained import model_artifact

    model = model_artifact(existing_store(store), ref)
    check_place(out, overwrite=overwrite)
    chosen = find_exporter(kind)

    from nnpipe.exporters.exporter import Context
    from nnpipe.exporters.model_card import model_card
    from nnpipe.models.network import load_network

    network = load_network(*model.tensors("model"))
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
