"""The process of one run of a schedule. It may outlive whoever started it, and records its run if the server dies."""

from __future__ import annotations

import os
import sys
from uuid import UUID

from prefect.exceptions import TerminationSignal
from prefect.flow_engine import load_flow_run, run_flow

from flows.server import deliver
from flows.train import quiet_terminal, train
from nnpipe.pipeline.event_log import EventLog


def carry_out(flow_run: UUID) -> None:
    """Carry out a flow run that is due, and deliver to Prefect what there is to tell."""
    os.setsid()  # Ctrl-C in a terminal is for whoever started this process, and is handed on as SIGTERM
    with quiet_terminal():
        try:
            run_flow(train, flow_run=load_flow_run(flow_run), return_type="state")
        except TerminationSignal:
            pass  # the run is recorded as interrupted
        except Exception as error:
            # Whatever it is, a traceback of Prefect's would tell less.
            told = f"Prefect did not hear how the run ended, the store did: {type(error).__name__}: {error}"
            EventLog.of_environment().write("server", told, level="error")
        deliver()
    sys.stderr.flush()
    os._exit(0)  # what is left to do is Prefect's, and would be to wait for a server that is away
