"""The engine ``prefect``: a server for the run, started before Prefect is imported, and the run as a flow."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flows.server_process import TemporaryServer

if TYPE_CHECKING:
    from nnpipe.pipeline.execute import Execution
    from nnpipe.pipeline.run import Run


def run_early(execution: Execution) -> Run:
    """Execute as ``run_prefect`` does, which see; where a temporary server is needed, it starts at once."""
    server = TemporaryServer.early()
    try:
        from flows.train import run_prefect

        return run_prefect(execution, server)
    finally:
        if server:
            server.stop()
