"""What a schedule tells those who watch it: numbers for Prometheus at ``/metrics``, its health at ``/health``."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Lock, Thread
from typing import TYPE_CHECKING, Any

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, Gauge, generate_latest

from nnpipe.errors import UsageError
from nnpipe.pipeline.run import Run

if TYPE_CHECKING:
    from nnpipe.store.canonical import JSON
    from nnpipe.store.store import Store

LATE = 60.0  # seconds without a look at what is due, and something is wrong


class Metrics:
    """What happened to the runs of ``spec`` since this process began; before it, the last run of ``store``."""

    def __init__(self, spec: str, store: Store) -> None:
        self.registry = CollectorRegistry()
        self._spec, self._store, self._lock = spec, store, Lock()
        self._champion: tuple[str, Run | None] | None = None
        self._looked, self._server = time.monotonic(), True
        self._last: dict[str, Any] | None = None
        labels: Any = {"labelnames": ["spec"], "registry": self.registry}
        self._runs = Counter("nnpipe_runs", "Runs by outcome.", ["spec", "outcome"], registry=self.registry)
        self._stages = Counter("nnpipe_stages", "Stages by status.", ["spec", "status"], registry=self.registry)
        self._seconds = Gauge("nnpipe_last_run_seconds", "How long the last run took.", **labels)
        self._ended = Gauge("nnpipe_last_run_timestamp_seconds", "When the last run ended.", **labels)
        self._succeeded = Gauge("nnpipe_last_success_timestamp_seconds", "When a run was last done.", **labels)
        self._up = Gauge("nnpipe_prefect_up", "Whether Prefect's server answers.", **labels)
        measures: Any = {"labelnames": ["spec", "name"], "registry": self.registry}
        self._measures = Gauge("nnpipe_metric", "Measures of the last network.", **measures)
        self._champions = Gauge("nnpipe_champion_metric", "Measures of the network NAME/champion.", **measures)
        self._up.labels(spec).set(1)
        self._remember()

    # -- what is told to it ------------------------------------------------------------------------------------

    def ended(self, outcome: str, run: Run | None = None) -> None:
        """A run ended: ``done``, ``failed``, ``interrupted``, ``crashed`` or ``skipped``; as the store has it."""
        self._runs.labels(self._spec, outcome).inc()
        if outcome == "skipped":
            return
        for stage in run.stages if run else ():
            self._stages.labels(self._spec, stage.status).inc()
        with self._lock:
            self._champion = None  # there may be a record now of what the ref names
            self._show(outcome, run, time.time())

    def looked(self, *, server: bool) -> None:
        """Somebody looked at what is due; whether the server answered."""
        self._looked, self._server = time.monotonic(), server
        self._up.labels(self._spec).set(server)

    # -- what it tells -----------------------------------------------------------------------------------------

    def text(self) -> bytes:
        """Everything, in the form of Prometheus."""
        with self._lock:
            champion = self._find_champion()
            self._champions.clear()
            for name, value in champion.metrics.items() if champion else ():
                self._champions.labels(self._spec, name).set(value)
            return generate_latest(self.registry)

    def health(self) -> tuple[bool, dict[str, Any]]:
        """Whether runs begin when they are due, and what is known."""
        alive = time.monotonic() - self._looked < LATE
        status = "ok" if alive and self._server else "Prefect's server does not answer" if alive else "stuck"
        return status == "ok", {"status": status, "spec": self._spec, "server": self._server, "last_run": self._last}

    def _show(self, outcome: str, run: Run | None, at: float) -> None:
        self._ended.labels(self._spec).set(at)
        ended = datetime.fromtimestamp(at).astimezone().isoformat(timespec="seconds")
        self._last = {"run": run.run if run else None, "outcome": outcome, "ended": ended}
        if run:
            self._seconds.labels(self._spec).set(run.seconds)
        if outcome == "done":
            self._succeeded.labels(self._spec).set(at)
        for name, value in run.metrics.items() if run else ():
            self._measures.labels(self._spec, name).set(value)

    def _remember(self) -> None:
        record = next((each for each in self._store.runs.newest_first() if each["spec"] == self._spec), None)
        if record:
            began = datetime.fromisoformat(record["started"]).timestamp()
            self._show(record["status"], Run.of_record(record, self._store), began + record["seconds"])

    def _find_champion(self) -> Run | None:
        """The run whose network ``NAME/champion`` is, as far as a record tells."""
        ref = f"{self._spec}/champion"
        if ref not in self._store.refs:
            return None
        artifact = self._store.refs[ref]
        if self._champion is None or self._champion[0] != artifact:
            made_it = (each for each in self._store.runs.newest_first() if _measured(each, artifact))
            record = next(made_it, None)
            self._champion = artifact, Run.of_record(record, self._store) if record else None
        return self._champion[1]


def _measured(record: JSON, artifact: str) -> bool:
    return bool(record["metrics"]) and any(
        stage["name"] == "finetune" and stage["artifact"] == artifact for stage in record["stages"]
    )


@contextmanager
def answering(metrics: Metrics, port: int | None, host: str = "127.0.0.1") -> Iterator[str | None]:
    """Within it ``/metrics`` and ``/health`` answer at ``port`` (0: a free one); yields where, None without a port.

    Raises:
        UsageError: the port is taken.
    """
    if port is None:
        yield None
        return

    class Answers(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.path == "/metrics":
                self._answer(200, CONTENT_TYPE_LATEST, metrics.text())
            elif self.path == "/health":
                well, told = metrics.health()
                self._answer(200 if well else 503, "application/json", json.dumps(told).encode())
            else:
                self._answer(404, "text/plain", b"GET /metrics, or GET /health\n")

        def _answer(self, status: int, kind: str, body: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - nobody wants a line for each look
            ...

    try:
        server = ThreadingHTTPServer((host, port), Answers)
    except OSError as error:
        hint = "--metrics-port 0 takes a free one"
        raise UsageError("cannot listen there", where=f"{host}:{port}", found=error.strerror, hint=hint) from error
    Thread(target=server.serve_forever, name="answers Prometheus", daemon=True).start()
    try:
        yield f"http://{host}:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
