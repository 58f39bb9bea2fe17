"""``nnpipe serve``: a trained network that answers over HTTP until it is stopped."""

from __future__ import annotations

import gc as garbage
import signal
import sys
from pathlib import Path
from typing import Annotated

import typer

from nnpipe.cli.options import DEFAULT_STORE, StorePlace
from nnpipe.cli.predict import ModelName, opened_model
from nnpipe.errors import UsageError

GRACE = 5  # seconds that requests under way have when it is stopped
MOST_AT_ONCE = 512  # connections and requests: to more it says that it is busy, so that memory stays as it is


def serve(
    model: ModelName,
    port: Annotated[int, typer.Option(min=0, max=65535, help="Where to listen; 0: a free one, which is told.")] = 8000,
    host: Annotated[str, typer.Option(help="On which address; 0.0.0.0 lets other machines ask.")] = "127.0.0.1",
    size: Annotated[int, typer.Option("--max-bytes", min=1, help="The largest body of a request.")] = 16 << 20,
    examples: Annotated[int, typer.Option("--max-examples", min=1, help="Of one request.")] = 1024,
    store: StorePlace = DEFAULT_STORE,
) -> None:
    """Serve a trained network: GET /health, GET /model, POST /predict. Ctrl-C stops it."""
    import socket

    trained = opened_model(model, store)  # a wrong name is told before anything is listened to
    # Where the protocol is named, asyncio sends small answers at once; else each waits 40 ms for those before it.
    listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((host, port))
        listening.listen(1024)  # or who asks at once is turned away until the server has started
    except OSError as error:
        listening.close()
        raise UsageError(
            "cannot listen there", where=f"{host}:{port}", found=error.strerror, hint="--port 0 takes a free one"
        ) from error

    import uvicorn

    from nnpipe.prediction.protocol import Protocol
    from nnpipe.prediction.service import Limits, make_app

    name = Path(model).name if Path(model).is_file() else model
    config = uvicorn.Config(
        make_app(trained, name, Limits(size=size, examples=examples)),
        http=Protocol,
        ws="none",
        log_level="error",
        timeout_graceful_shutdown=GRACE,
        limit_concurrency=MOST_AT_ONCE,
    )
    # uvicorn stops in order when it is told to, and then raises the signal again: to have been stopped is no failure.
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(0))
    # What was imported stays; what requests leave behind is looked for more often than a short command does.
    garbage.freeze()
    garbage.set_threshold(700, 10, 10)
    print(f"{name} answers at http://{host}:{listening.getsockname()[1]}", file=sys.stderr, flush=True)
    uvicorn.Server(config).run(sockets=[listening])
