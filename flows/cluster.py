"""A Dask cluster: one that is there already, or one of processes on this machine for the time of a run."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec

from nnpipe.errors import NnpipeError, UsageError
from nnpipe.pipeline.event_log import warn

TIMEOUT = 5.0  # seconds within which a scheduler has to answer
QUIET = {} if "PREFECT_LOGGING_LEVEL" in os.environ else {"PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL": "CRITICAL"}


def check_dask() -> None:
    """Refuse to go on without the packages that ``nnpipe[dask]`` names."""
    if find_spec("prefect_dask") is None:
        hint = "pip install 'nnpipe[dask]'"
        raise UsageError("Dask is not installed", where="--engine dask", expected="the package prefect-dask", hint=hint)


def check_scheduler(address: str) -> None:
    """Refuse an address at which no scheduler answers; tell it if nobody works for it yet."""
    from distributed import Client
    from distributed.comm.addressing import get_address_host_port

    where = f"--address {address}"
    try:
        get_address_host_port(address)
        with Client(address, timeout=TIMEOUT, set_as_default=False) as client:
            workers = client.scheduler_info(n_workers=1)["n_workers"]
    except ValueError as error:
        expected = "an address like tcp://host:8786"
        raise UsageError("not the address of a scheduler", where=where, expected=expected, found=str(error)) from error
    except OSError as error:
        hint = "`dask scheduler` starts one; without --address workers are started on this machine"
        raise NnpipeError("no Dask scheduler answers", where=where, found=str(error), hint=hint) from error
    if not workers:
        warn(f"the scheduler at {address} has no workers yet: stages wait until `dask worker {address}` starts one")


@contextmanager
def local_cluster(workers: int) -> Iterator[str]:
    """The address of a scheduler with so many workers, each a process on this machine that does one stage at a time.

    They listen on loopback only, and have the environment of this process. They end with it.
    """
    import dask
    from distributed import LocalCluster

    # By default Dask tells the libraries of a worker to use one thread, and so numpy's sums would depend on the engine.
    with (
        dask.config.set({"distributed.nanny.pre-spawn-environ": {}}),
        LocalCluster(
            n_workers=workers,
            threads_per_worker=1,
            processes=True,
            host="127.0.0.1",
            dashboard_address=None,
            scheduler_kwargs={"dashboard_address": "127.0.0.1:0"},  # else its pages want port 8787, which may be taken
            silence_logs=logging.CRITICAL,
            memory_limit=0,  # a stage knows how much it may take; Dask would pause or kill its process
            preload=["flows.worker"],
            env=QUIET,
        ) as cluster,
    ):
        yield cluster.scheduler_address
