"""What a verb says while it works, as JSON objects, errors and warnings too: a program can read every line."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import typer

from nnpipe.errors import Interrupted, NnpipeError

if TYPE_CHECKING:
    from nnpipe.api import LogFormat
    from nnpipe.pipeline.event_log import EventLog


@contextmanager
def logged(format: LogFormat) -> Iterator[EventLog | None]:  # noqa: A002
    """The log for ``json``, in which an error ends the verb with its exit status; None for ``text``."""
    if format == "text":
        yield None
        return
    from nnpipe.pipeline.event_log import EventLog

    log = EventLog(sys.stderr, format)
    with errors_logged(log):
        yield log


@contextmanager
def errors_logged(log: EventLog) -> Iterator[None]:
    """Write errors down as events where programs read the log; people are told as by every verb."""
    try:
        with log.of_this_process():
            yield
    except NnpipeError as error:
        if log.format == "text":
            raise
        stopped = isinstance(error, Interrupted)
        log.write("interrupted" if stopped else "error", str(error), level="warning" if stopped else "error")
        raise typer.Exit(error.exit_status) from error
