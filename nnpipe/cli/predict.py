"""``nnpipe predict``: what a trained network says of new examples, as a table, CSV or JSON."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, TextIO

import typer

from nnpipe.cli.options import DEFAULT_STORE, StorePlace
from nnpipe.cli.store import existing_store

if TYPE_CHECKING:
    import numpy as np

    from nnpipe.prediction.model import TrainedModel

    Predicted = Iterator[tuple[list[str], np.ndarray]]

Format = Literal["table", "csv", "json"]
ModelName = Annotated[
    str,
    typer.Argument(
        metavar="REF|FILE",
        help="A ref, a run, an artifact id, or a file that nnpipe export wrote: .onnx, .safetensors, weights.h5, .zip.",
        show_default=False,
    ),
]
MOST_SHOWN = 3  # classes of a row of the table
MOST_NUMBERS = 12  # numbers of a row of the table; csv and json have all


def predict(
    model: ModelName,
    examples: Annotated[
        Path,
        typer.Argument(
            metavar="INPUT",
            help="An image, a folder of images, .npy, .npz, .h5, .zarr, .csv, .tsv or an IDX file.",
            show_default=False,
        ),
    ],
    format_: Annotated[Format, typer.Option("--format", help="How to print the answers.")] = "table",
    array: Annotated[
        str | None, typer.Option(metavar="NAME", help="The array of a file that holds several.", show_default=False)
    ] = None,
    resize: Annotated[bool, typer.Option("--resize", help="Bring images to the size that the network reads.")] = False,
    batch: Annotated[int, typer.Option(metavar="N", min=1, help="How many examples are asked about at a time.")] = 256,
    store: StorePlace = DEFAULT_STORE,
) -> None:
    """Ask a trained network about new examples."""
    from nnpipe.prediction.inputs import Reading

    network = opened_model(model, store)
    reading = Reading(network.input_shape, network.scaling, array, resize, batch)
    predicted = ((block.names, network.predict(block.values)) for block in reading.blocks(examples))
    writers = {"table": _table, "csv": _csv, "json": _json}
    writers[format_](network, predicted, sys.stdout)


def opened_model(model: str, store: str) -> TrainedModel:
    """A file, or what the store calls so."""
    if Path(model).is_file():
        from nnpipe.prediction.model import open_model

        return open_model(Path(model))
    from nnpipe.pipeline.trained import stored_model

    return stored_model(existing_store(store), model)


def _table(network: TrainedModel, predicted: Predicted, out: TextIO) -> None:
    """A line an example: the class and its score with the next ones, or the numbers. Columns of a block are aligned."""
    from nnpipe.cli.text import table

    header = ["input", "class", "score", "then"] if network.classes else ["input", *_few(network.names)]
    align = "<<><" if network.classes else "<" + ">" * (len(header) - 1)
    shown = False
    for names, scores in predicted:
        rows = [[name, *_cells(network, row)] for name, row in zip(names, scores, strict=True)]
        print("\n".join(table(header, rows, align)[shown:]), file=out)
        shown = True


def _few(cells: Sequence[str]) -> list[str]:
    """As many as a line has room for, and how many more there are."""
    more = len(cells) - MOST_NUMBERS
    return [*cells[:MOST_NUMBERS], f"and {more} more"] if more > 0 else list(cells)


def _cells(network: TrainedModel, row: np.ndarray) -> list[str]:
    if not network.classes:
        return _few([f"{value:.6g}" for value in row])
    first, *others = (-row).argsort(kind="stable")[:MOST_SHOWN]
    return [
        network.names[first],
        f"{row[first]:.4f}",
        ", ".join(f"{network.names[place]} {row[place]:.4f}" for place in others),
    ]


def _csv(network: TrainedModel, predicted: Predicted, out: TextIO) -> None:
    """``input``, of classes ``class``, and a column for each class or number."""
    import csv

    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(["input", *(["class"] if network.classes else []), *network.names])
    for names, scores in predicted:
        classes = network.classify(scores) if network.classes else None
        for place, (name, row) in enumerate(zip(names, scores, strict=True)):
            said = [] if classes is None else [network.names[classes[place]]]
            writer.writerow([name, *said, *(f"{value:.8g}" for value in row)])


def _json(network: TrainedModel, predicted: Predicted, out: TextIO) -> None:
    """One object; its ``predictions`` are written as they come, so that memory does not grow with them."""
    import json

    head = json.dumps({"classes" if network.classes else "values": list(network.names)}, ensure_ascii=False)
    print(head[:-1] + ', "predictions": [', file=out)
    between = ""
    for names, scores in predicted:
        for name, row in zip(names, scores, strict=True):
            print(f"{between}{json.dumps({'input': name, **network.told(row)}, ensure_ascii=False)}", end="", file=out)
            between = ",\n"
    print("\n]}", file=out)
