"""A trained network that answers over HTTP: right requests, wrong ones, many at once, and how it stops."""

from __future__ import annotations

import http.client
import io
import json
import os
import random
import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from nnpipe.exporters import find_exporter
from nnpipe.exporters.exporter import Context
from nnpipe.models.architecture import Model
from nnpipe.models.network import Network
from nnpipe.models.scaling import Scaling
from nnpipe.prediction.model import open_model

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


class Server:
    """A process that serves, and how to ask it."""

    def __init__(self, model: Path) -> None:
        command = [sys.executable, "-m", "nnpipe", "serve", str(model), "--port", "0", "--max-bytes", "100000"]
        self.process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        assert self.process.stderr is not None
        told = self.process.stderr.readline()
        assert "answers at http://127.0.0.1:" in told
        self.port = int(told.rsplit(":", 1)[1])

    def ask(
        self, method: str, path: str, body: bytes | None = None, kind: str = "application/json"
    ) -> tuple[int, dict[str, Any]]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.request(method, path, body, {"Content-Type": kind} if body is not None else {})
            answer = connection.getresponse()
            return answer.status, json.loads(answer.read() or b"{}")
        finally:
            connection.close()

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
        (405, "GET", "/predict", None, ""),
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
        (415, "POST", "/predict", b"a,b", "text/csv"),
    ],
)
def test_a_wrong_request_is_told_what_is_wrong(
    server: Server, status: int, method: str, path: str, body: bytes | None, kind: str
) -> None:
    found, answer = server.ask(method, path, body, kind)
    assert found == status
    assert answer.get("error") or answer["detail"]  # the framework's own word for it


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
    assert serving.process.returncode in (0, 130, -number)


def test_a_port_that_is_taken_is_told(server: Server, model: Path) -> None:
    command = [sys.executable, "-m", "nnpipe", "serve", str(model), "--port", str(server.port)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 2
    assert "cannot listen there" in done.stderr
