"""Arguments and options that several verbs share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from nnpipe.api import LogFormat

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
StoreFolder = Annotated[
    Path,
    typer.Option("--store", metavar="DIR", envvar="NNPIPE_STORE", help="The folder of artifacts."),
]
Until = Annotated[
    str | None,
    typer.Option(metavar="STAGE", help="Only this stage and what it needs.", show_default=False),
]
Force = Annotated[
    list[str] | None,
    typer.Option(metavar="STAGE", help="Compute it even if it could be reused; may be repeated.", show_default=False),
]
LogLines = Annotated[
    LogFormat,
    typer.Option("--log-format", envvar="NNPIPE_LOG_FORMAT", help="json: an object for each event, a line on stderr."),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]

DEFAULT_STORE = Path("artifacts")
