"""The local engine: one stage after another, in this process."""

from __future__ import annotations

from nnpipe.pipeline.execute import Execution
from nnpipe.pipeline.run import Run


def run_local(execution: Execution) -> Run:
    """Execute every stage in order; the run is recorded however it ends.

    Raises:
        NnpipeError: a stage failed, or somebody asked to stop.
    """
    try:
        for planned in execution.plan.stages:
            execution.execute(planned.stage.name)
    except BaseException as error:
        execution.finish(error)
        raise
    return execution.finish()
