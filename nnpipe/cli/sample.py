"""``nnpipe sample``: what a trained deep belief net dreams of, as a picture or as numbers."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from nnpipe.cli.export import check_place
from nnpipe.cli.options import DEFAULT_STORE, Ref, StorePlace
from nnpipe.cli.store import existing_store
from nnpipe.errors import UsageError


def sample(
    ref: Ref,
    out: Annotated[
        Path,
        typer.Option(metavar="PATH", help="The file to write: .png, or .npy in the data's units.", show_default=False),
    ],
    label: Annotated[
        str | None, typer.Option(metavar="CLASS", help="The class whose label is held.", show_default=False)
    ] = None,
    unit: Annotated[
        int | None, typer.Option(metavar="K", help="A hidden unit of the top machine, held at 1.", show_default=False)
    ] = None,
    steps: Annotated[int, typer.Option(metavar="N", help="Gibbs steps of each chain.")] = 1000,
    count: Annotated[int, typer.Option(metavar="N", help="How many chains.")] = 100,
    seed: Annotated[int, typer.Option(min=0, help="Of the chains.")] = 0,
    store: StorePlace = DEFAULT_STORE,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace PATH if it is there.")] = False,
) -> None:
    """Sample from a deep belief net that was fine-tuned by up_down."""
    from nnpipe.pipeline.sample import drawn, generating, samples_of

    opened = existing_store(store)
    if out.suffix not in (".png", ".npy"):
        raise UsageError("no such kind of file", where=str(out), expected="a name that ends with .png or .npy")
    check_place(out, overwrite=overwrite)
    import numpy as np

    if out.suffix == ".npy":
        np.save(out, samples_of(opened, ref, label, unit, steps, count, seed))
    else:
        from nnpipe.plots.samples import draw_mosaic
        from nnpipe.plots.style import applied, png

        images = drawn(generating(opened, ref), label, unit, steps, count, seed)
        if images.ndim != 4 or images.shape[1] not in (1, 3):
            raise UsageError(f"what {ref} generates are no images", hint="a name that ends with .npy keeps the numbers")
        with applied():
            out.write_bytes(png(draw_mosaic(images)))
    print(out)
