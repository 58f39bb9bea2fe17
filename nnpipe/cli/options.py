"""Arguments and options that several verbs share."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

import typer

from nnpipe.api import Device, Engine, LogFormat

UNITS = {"": 1, "kb": 10**3, "mb": 10**6, "gb": 10**9, "tb": 10**12, "kib": 2**10, "mib": 2**20, "gib": 2**30}


def _bytes(text: str) -> int:
    """A number of bytes: ``2GB``, ``1.5 GiB``, ``1000000``."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([a-z]*)", text.strip().lower())
    if not found or found[2] not in UNITS:
        raise typer.BadParameter(f"expected a size such as 500MB or 2GB, found {text!r}")
    return int(float(found[1]) * UNITS[found[2]])


SpecFile = Annotated[Path, typer.Argument(metavar="SPEC", help="A spec: a YAML file.", show_default=False)]
Ref = Annotated[
    str,
    typer.Argument(
        metavar="REF",
        help="A ref (mnist-dbn/latest), a spec's name, a run, or the beginning of an artifact id.",
        show_default=False,
    ),
]
Overrides = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="K=V", help="Override a field; may be repeated.", show_default=False),
]
StorePlace = Annotated[
    str,
    typer.Option(
        "--store", metavar="PLACE", envvar="NNPIPE_STORE", help="The folder of artifacts, or the URL of a shared store."
    ),
]
Until = Annotated[
    str | None,
    typer.Option(metavar="STAGE", help="Only this stage and what it needs.", show_default=False),
]
Force = Annotated[
    list[str] | None,
    typer.Option(metavar="STAGE", help="Compute it even if it could be reused; may be repeated.", show_default=False),
]
WhereTo = Annotated[
    Device,
    typer.Option("--device", help="Where a run is to be; only what precision: auto comes to depends on it."),
]
RunBy = Annotated[Engine, typer.Option("--engine", help="What runs the stages.")]
RunOn = Annotated[Device, typer.Option("--device", help="auto: a GPU where there is one.")]
Threads = Annotated[int | None, typer.Option(min=1, metavar="N", help="Threads of torch on a CPU.", show_default=False)]
CheckpointEvery = Annotated[float, typer.Option(min=0, metavar="SECONDS", help="Time between checkpoints.")]
Memory = Annotated[
    int | None,
    typer.Option(
        metavar="SIZE",
        parser=_bytes,
        help="Keep the examples of a split in memory up to this size, such as 500MB or 2GB; read larger ones from "
        "their file. Results are the same. Left out: a quarter of what is free.",
        show_default=False,
    ),
]
Address = Annotated[
    str | None,
    typer.Option(
        metavar="URL",
        help="With --engine dask: a scheduler whose workers are used, as tcp://host:8786. Left out: workers are "
        "started here.",
        show_default=False,
    ),
]
LogLines = Annotated[
    LogFormat,
    typer.Option("--log-format", envvar="NNPIPE_LOG_FORMAT", help="json: an object for each event, a line on stderr."),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]

DEFAULT_STORE = "artifacts"
