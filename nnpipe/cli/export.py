"""``nnpipe export``: a trained network in a format that other programs read, verified, and its model card."""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nnpipe.cli.options import DEFAULT_STORE, Ref, StoreFolder
from nnpipe.cli.store import existing_store
from nnpipe.errors import UsageError

if TYPE_CHECKING:
    from nnpipe.exporters.exporter import Exporter
    from nnpipe.pipeline.provenance import Provenance
    from nnpipe.store.artifact import Artifact


def export(
    ref: Ref,
    kind: Annotated[str, typer.Option("--format", metavar="F", help="keras_h5, onnx, ...", show_default=False)],
    out: Annotated[Path, typer.Option(metavar="PATH", help="The file to write.", show_default=False)],
    store: StoreFolder = DEFAULT_STORE,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace PATH if it is there.")] = False,
    card: Annotated[bool, typer.Option("--card/--no-card", help="Write its model card to PATH.md.")] = True,
) -> None:
    """Write a trained network to a file in another format, and run it on test examples to see that it is the same."""
    from nnpipe.exporters import find_exporter
    from nnpipe.pipeline.provenance import provenance
    from nnpipe.pipeline.trained import model_artifact

    opened = existing_store(store)
    model = model_artifact(opened, ref)
    places = [out, Path(f"{out}.md")] if card else [out]
    for place in places:
        check_place(place, overwrite=overwrite)
    chosen = find_exporter(kind)
    # Beside its place, so that it comes there whole by renaming.
    with tempfile.TemporaryDirectory(prefix=f".{out.name}.", dir=out.parent) as beside:
        made, text, told = _write(chosen, model, provenance(opened, model), Path(beside), out.name)
        if card:
            (Path(beside) / "card").write_text(text, encoding="utf-8")
            os.replace(Path(beside) / "card", places[-1])
        os.replace(made, out)
    print(told, file=sys.stderr)
    print(out)


def _write(chosen: Exporter, model: Artifact, past: Provenance, folder: Path, name: str) -> tuple[Path, str, str]:
    """The file made in ``folder``, its card (which calls it ``name``), and what is told of verifying it."""
    from nnpipe.exporters.exporter import Context
    from nnpipe.exporters.model_card import File, model_card
    from nnpipe.exporters.verification import Verification
    from nnpipe.models.network import load_network
    from nnpipe.stages.card_facts import card_facts
    from nnpipe.stages.export import calibrating, verifier_of

    network = load_network(*model.tensors("model"))
    facts = card_facts(past.stated, model, past.data, past.evaluation)
    examples = calibrating(network, past.data) if past.data else None
    made = folder / chosen.filename
    chosen.write(network, made, Context(model_card(network, facts), examples))
    verification = verifier_of(network, past.data).verify(chosen, made) if past.data else Verification()
    told = verification.told()
    if not verification.examples:
        told += f": nothing here runs {chosen.kind} files" if past.data else ": its data are no longer in the store"
    return made, model_card(network, facts, [File(name, chosen, verification)]), told


def check_place(out: Path, *, overwrite: bool) -> None:
    """Refuse a place where no file can be written, or where one is already."""
    if out.is_dir() or not out.parent.is_dir():
        raise UsageError("no place for a file", where=str(out), expected="a file name in a folder that is there")
    if out.exists() and not overwrite:
        raise UsageError("there is a file already", where=str(out), hint="--overwrite replaces it")
