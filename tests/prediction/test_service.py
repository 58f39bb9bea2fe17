"""A trained network that answers over HTTP: right requests, wrong ones, many at once, and how it stops."""

from __future__ import annotations

import http.client
import io
import json
import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import uvicorn
from PIL import Image

from nnpipe.exporters import find_exporter
from nnpipe.exporters.exporter import Context
from nnpipe.models.architecture import Model
from nnpipe.models.network import Network
from nnpipe.models.scaling import Scaling
from nnpipe.prediction.model import open_model
from nnpipe.prediction.protocol import Protocol
from nnpipe.prediction.service import Limits, make_app

SHAPE, NAMES = (1, 8, 8), ["a", "b", "c"]
RAW = np.random.default_rng(0).integers(0, 17, (3, *SHAPE))


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    layers = [
        {"kind": "dense", "units": 12, "activation": "tanh"},
        {"kind": "dense", "units": 3, "activation": "softmax"},
    ]
    scaling = Scaling(scale=16, range=(0, 16))
    network = Network(Model.model_validate({"layers": layers}), SHAPE, scaling, NAMES, torch.Generator().manual_seed(0))
    path = tmp_path_factory.mktemp("served") / "model.onnx"
    find_exporter("onnx").write(network.eval(), path, Context())
    return path


def asked(
    port: int, method: str, path: str, body: bytes | None = None, kind: str = "application/json"
) -> tuple[int, dict[str, Any]]:
    """Status and answer."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        connection.request(method, path, body, {"Content-Type": kind} if body is not None else {})
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read() or b"{}")
    finally:
        connection.close()


def heed_interrupts() -> None:
    signal.signal(signal.SIGINT, signal.default_int_handler)


class Server:
    """A process that serves, and how to ask it."""

    def __init__(self, model: Path) -> None:
        command = [sys.executable, "-m", "nnpipe", "serve", str(model), "--port", "0", "--max-bytes", "100000"]
        # Whoever runs the tests in the background ignores Ctrl-C, and so would this process.
        self.process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, preexec_fn=heed_interrupts)
        assert self.process.stderr is not None
        told = self.process.stderr.readline()
        assert "answers at http://127.0.0.1:" in told
        self.port = int(told.rsplit(":", 1)[1])

    def ask(
        self, method: str, path: str, body: bytes | None = None, kind: str = "application/json"
    ) -> tuple[int, dict[str, Any]]:
        return asked(self.port, method, path, body, kind)

    def memory(self) -> int:
        """Bytes of memory that the process holds."""
        return int(Path(f"/proc/{self.process.pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGESIZE")


@pytest.fixture(scope="module")
def server(model: Path) -> Iterator[Server]:
    serving = Server(model)
    yield serving
    serving.process.terminate()
    serving.process.wait(20)
    assert serving.process.stderr is not None
    serving.process.stderr.close()


def examples(values: Any) -> bytes:
    return json.dumps({"examples": values}).encode()


def test_it_tells_that_it_is_there_and_what_it_reads(server: Server) -> None:
    assert server.ask("GET", "/health") == (200, {"status": "ok"})
    status, about = server.ask("GET", "/model")
    assert status == 200
    assert (about["input_shape"], about["value_range"], about["classes"]) == ([1, 8, 8], [0, 16], NAMES)


@pytest.mark.parametrize("shape", [(3, 1, 8, 8), (3, 8, 8), (3, 64)])
def test_examples_are_answered_as_the_model_itself_answers(server: Server, model: Path, shape: tuple[int, ...]) -> None:
    status, answer = server.ask("POST", "/predict", examples(RAW.reshape(shape).tolist()))
    trained = open_model(model)
    expected = [trained.told(row) for row in trained.predict(RAW)]
    assert status == 200
    for said, wanted in zip(answer["predictions"], expected, strict=True):
        assert said["class"] == wanted["class"]
        assert said["probabilities"] == pytest.approx(wanted["probabilities"], abs=1e-6)


def test_an_image_is_brought_to_the_size_and_range_of_the_network(server: Server, model: Path) -> None:
    file = io.BytesIO()
    Image.fromarray(np.kron(RAW[0, 0] * 15, np.ones((4, 4))).astype(np.uint8)).save(file, "PNG")
    status, answer = server.ask("POST", "/predict", file.getvalue(), "image/png")
    assert status == 200
    whole = np.array(Image.open(file).resize((8, 8), Image.Resampling.BILINEAR), np.float32) / 255 * 16
    trained = open_model(model)
    expected = trained.told(trained.predict(whole[None, None])[0])
    assert answer["predictions"][0]["probabilities"] == pytest.approx(expected["probabilities"], abs=1e-5)


@pytest.mark.parametrize(
    ("status", "method", "path", "body", "kind"),
    [
        (404, "GET", "/nothing", None, ""),
        (404, "POST", "/predict/", b"{}", "application/json"),
        (405, "GET", "/predict", None, ""),
        (405, "BREW", "/predict", None, ""),
        (400, "POST", "/predict", b"{not json", "application/json"),
        (400, "POST", "/predict", b'{"examples": [[NaN]]}', "application/json"),
        (400, "POST", "/predict", b"[" * 50000, "application/json"),
        (400, "POST", "/predict", b"\xff\xfe", "application/json"),
        (422, "POST", "/predict", b"[]", "application/json"),
        (422, "POST", "/predict", b'{"examples": []}', "application/json"),
        (422, "POST", "/predict", b'{"examples": 3}', "application/json"),
        (422, "POST", "/predict", b'{"examples": [[1, 2], [3]]}', "application/json"),
        (422, "POST", "/predict", b'{"examples": [["a"]]}', "application/json"),
        (422, "POST", "/predict", examples([[1e39] * 64]), "application/json"),
        (422, "POST", "/predict", examples([[10**400] * 64]), "application/json"),
        (422, "POST", "/predict", examples([[0] * 63]), "application/json"),
        (413, "POST", "/predict", examples([[0]] * 2000), "application/json"),
        (413, "POST", "/predict", b" " * 200_000, "application/json"),
        (422, "POST", "/predict", b"no image", "image/png"),
        (422, "POST", "/predict", b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\nshowpage", "image/png"),
        (415, "POST", "/predict", b"a,b", "text/csv"),
    ],
)
def test_a_wrong_request_is_told_what_is_wrong(
    server: Server, status: int, method: str, path: str, body: bytes | None, kind: str
) -> None:
    found, answer = server.ask(method, path, body, kind)
    assert found == status
    assert answer["error"]


HEAD = b"POST /predict HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n"


def said(port: int, sent: bytes) -> tuple[int | None, Any]:
    """What is answered to bytes that need not be HTTP; None: the connection was closed without an answer."""
    with socket.create_connection(("127.0.0.1", port), timeout=30) as line:
        line.sendall(sent)
        answer = http.client.HTTPResponse(line)
        try:
            answer.begin()
        except http.client.RemoteDisconnected:
            return None, None
        return answer.status, json.loads(answer.read())


@pytest.mark.parametrize(
    ("status", "sent"),
    [
        (400, b"\x16\x03\x01\x02\r\n\r\n"),
        (400, HEAD + b"Content-Length: many\r\n\r\n"),
        (400, HEAD + b"Content-Length: -1\r\n\r\n"),
        (400, HEAD + b"Content-Length: 3\r\nContent-Length: 4\r\n\r\n{}"),
        (400, HEAD + b"Transfer-Encoding: chunked\r\n\r\nno chunk\r\n"),
        (400, HEAD + b"A: " + b"x" * 100_000),
        (413, HEAD + b"Content-Length: 1000000000000\r\n\r\n{"),
        (413, HEAD + b"Transfer-Encoding: chunked\r\n\r\n20000\r\n" + b" " * 0x20000 + b"\r\n0\r\n\r\n"),
    ],
)
def test_what_is_no_http_is_told_so_in_json_too(server: Server, status: int, sent: bytes) -> None:
    found, answer = said(server.port, sent)
    assert found == status
    assert answer["error"]


def test_small_answers_come_at_once(server: Server) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
    seconds = []
    for _ in range(20):
        started = time.perf_counter()
        connection.request("POST", "/predict", examples(RAW[:1].tolist()), {"Content-Type": "application/json"})
        assert connection.getresponse().read()
        seconds.append(time.perf_counter() - started)
    connection.close()
    assert min(seconds) < 0.035, "40 ms would be those that TCP waits for more to send"


@contextmanager
def served(model: Path, limits: Limits, patience: int = 5) -> Iterator[int]:
    """The port where a thread of this process serves ``model``."""
    app = make_app(open_model(model), "model", limits)
    service = uvicorn.Server(
        uvicorn.Config(
            app, http=Protocol, timeout_keep_alive=patience, timeout_graceful_shutdown=1, log_level="critical"
        )
    )
    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=service.run, args=([listening],))
        thread.start()
        try:
            yield listening.getsockname()[1]
        finally:
            service.should_exit = True
            thread.join(20)


def test_nobody_takes_for_ever_to_ask(model: Path) -> None:
    health, begun = b"GET /health HTTP/1.1\r\nHost: a\r\n\r\n", HEAD + b"Content-Length: 9\r\n\r\n{"
    with served(model, Limits(seconds=0.3), patience=1) as port:
        with ThreadPoolExecutor(4) as pool:
            found = list(pool.map(partial(said, port), (b"", HEAD, health + HEAD, begun)))
        assert [status for status, _ in found] == [None, None, 200, 408]
        assert found[-1][1]["error"]
        with socket.create_connection(("127.0.0.1", port)) as line:
            line.sendall(begun)  # who goes in the middle of it harms nobody
        assert said(port, health)[0] == 200


def test_who_has_not_asked_when_it_stops_is_told_so(model: Path) -> None:
    with ThreadPoolExecutor(1) as pool:
        with served(model, Limits()) as port:
            asking = pool.submit(said, port, HEAD + b"Content-Length: 9\r\n\r\n{")
            time.sleep(0.3)
        assert asking.result() == (503, {"error": "the service stops"})


def test_values_that_have_no_finite_answer_are_refused(tmp_path: Path) -> None:
    architecture, scaling = Model.model_validate({"layers": [{"kind": "dense", "units": 3}]}), Scaling(scale=1e-8)
    network = Network(architecture, (4,), scaling, NAMES, torch.Generator().manual_seed(0))
    find_exporter("onnx").write(network.eval(), tmp_path / "model.onnx", Context())
    with served(tmp_path / "model.onnx", Limits()) as port:
        status, answer = asked(port, "POST", "/predict", examples([[3e38] * 4]))
    assert status == 422
    assert "no finite answer" in answer["error"]


def test_many_requests_at_once_right_and_malformed_never_end_in_5xx_and_memory_stays_flat(server: Server) -> None:
    right = examples(RAW.tolist())

    def ask(number: int) -> int:
        draw = random.Random(number)
        body = bytearray(right)
        if number % 2:
            for _ in range(draw.randint(1, 20)):
                body[draw.randrange(len(body))] = draw.randrange(256)
        return server.ask(
            "POST", "/predict", bytes(body), draw.choice(["application/json", "application/json", "image/png"])
        )[0]

    with ThreadPoolExecutor(16) as pool:
        list(pool.map(ask, range(100)))  # until caches are full
        before = server.memory()
        statuses = list(pool.map(ask, range(600)))
    assert set(statuses) <= {200, 400, 415, 422}
    assert statuses.count(200) > 150
    assert server.memory() - before < 20e6
    assert server.ask("GET", "/health")[0] == 200


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_stops_when_it_is_asked_to_without_a_traceback(model: Path, number: signal.Signals) -> None:
    serving = Server(model)
    assert serving.ask("GET", "/health")[0] == 200
    serving.process.send_signal(number)
    _, told = serving.process.communicate(timeout=20)
    assert "Traceback" not in told
    assert serving.process.returncode == (130 if number == signal.SIGINT else 0)


def test_a_port_that_is_taken_is_told(server: Server, model: Path) -> None:
    command = [sys.executable, "-m", "nnpipe", "serve", str(model), "--port", str(server.port)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 2
    assert "cannot listen there" in done.stderr
