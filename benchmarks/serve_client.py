"""Somebody who asks a server rightly and wrongly, and judges what it answers; see ``benchmarks.serve``."""

from __future__ import annotations

import contextlib
import http.client
import json
import random
import socket
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from benchmarks.malformed import BROKEN, JSON, PNG, WRONG, Body, png, sized
from benchmarks.serve_process import Server
from nnpipe.prediction.model import TrainedModel

WARM, POOL, TOLERANCE = 1000, 64, 2e-6  # answers are rounded to 8 places


@dataclass
class Seen:
    """What came back. failures: what should not have."""

    statuses: Counter[str] = field(default_factory=Counter)
    latencies: list[float] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    memory: dict[int, float] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)
    done: int = 0


class Questions:
    """Right requests with their answers, drawn from a pool of examples that the model was asked about before."""

    def __init__(self, model: TrainedModel, seed: int) -> None:
        self.model, random_ = model, np.random.default_rng(seed)
        low, high = model.scaling.range or (0.0, 1.0)
        self.raw = random_.uniform(low, high, (POOL, *model.input_shape)).round(3)
        self.answers = model.predict(self.raw.astype(np.float32))
        self.pixels = random_.integers(0, 256, (POOL, *model.input_shape), dtype=np.uint8)
        stretched = (low + self.pixels / np.float32(255) * np.float32(high - low)).astype(np.float32)
        self.seen = model.predict(stretched)

    def json(self, draw: random.Random) -> tuple[Body, np.ndarray]:
        rows = [draw.randrange(POOL) for _ in range(draw.randint(1, 16))]
        some = self.raw[rows]
        shaped = some if draw.random() < 0.5 else some.reshape(len(rows), -1)
        return json.dumps({"examples": shaped.tolist()}).encode(), self.answers[rows]

    def image(self, draw: random.Random) -> tuple[Body, np.ndarray]:
        row = draw.randrange(POOL)
        channels, height, width = self.model.input_shape
        return png(self.pixels[row].transpose(1, 2, 0).tobytes(), height, width, channels), self.seen[row : row + 1]

    def problem(self, answer: Any, expected: np.ndarray) -> str | None:
        """What is wrong with an answer, if anything is."""
        wanted = [self.model.told(row) for row in expected]
        found = answer["predictions"]
        if len(found) != len(wanted):
            return f"{len(found)} predictions for {len(wanted)} examples"
        for said, known in zip(found, wanted, strict=True):
            numbers = "probabilities" if self.model.classes else "values"
            worst = max(abs(said[numbers][name] - value) for name, value in known[numbers].items())
            if said.get("class") != known.get("class") or worst > TOLERANCE:
                return f"{said} for {known}"
        return None


class Client:
    """One connection that is kept alive, and what is asked over it."""

    def __init__(self, server: Server, questions: Questions, seen: Seen) -> None:
        self.server, self.questions, self.seen = server, questions, seen
        self.connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)

    def ask(self, number: int, seed: int) -> None:
        """Request ``number``: what it is follows from it and the seed alone."""
        draw = random.Random(f"{seed} {number}")
        kind = draw.choices(["json", "image", "wrong", "broken", "slow", "gone"], [40, 20, 26, 11, 1, 2])[0]
        try:
            getattr(self, f"_{kind}")(draw)
        except Exception as error:
            self.connection.close()
            self._failed(f"request {number}, {kind}: {type(error).__name__}: {error}")
        with self.seen.lock:
            self.seen.done += 1
            if self.seen.done % WARM == 0:
                self.seen.memory[self.seen.done] = self.server.memory()

    def _json(self, draw: random.Random) -> None:
        self._right(*self.questions.json(draw), JSON)

    def _image(self, draw: random.Random) -> None:
        if len(self.questions.model.input_shape) != 3:
            return self._json(draw)
        return self._right(*self.questions.image(draw), PNG)

    def _right(self, body: Body, expected: np.ndarray, kind: str) -> None:
        started = time.perf_counter()
        status, answer = self._exchange("POST", "/predict", kind, body)
        self._count(f"{status} {kind}", time.perf_counter() - started)
        self._check(status, answer, expected)

    def _wrong(self, draw: random.Random) -> None:
        name = draw.choice([*WRONG])
        method, path, kind, spoil, statuses = WRONG[name]
        status, answer = self._exchange(method, path, kind, spoil(draw, self.questions.json(draw)[0]))
        self._judge(name, status, answer, statuses)

    def _exchange(self, method: str, path: str, kind: str, body: Body) -> tuple[int, Any]:
        """Over the connection that is kept; the server may close it after an answer."""
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # it may answer before the end of a large body
            self.connection.request(method, path, body, {"Content-Type": kind} if kind else {})
        answer = self.connection.getresponse()
        return answer.status, json.loads(answer.read())

    def _broken(self, draw: random.Random) -> None:
        name = draw.choice([*BROKEN])
        make, statuses = BROKEN[name]
        with socket.create_connection(("127.0.0.1", self.server.port), timeout=60) as line:
            line.sendall(make(draw, self.questions.json(draw)[0]))
            if None in statuses:
                line.shutdown(socket.SHUT_WR)
            self._judge(name, *first_answer(line), statuses)

    def _slow(self, draw: random.Random) -> None:
        """A right request, a few bytes at a time."""
        body, expected = self.questions.json(draw)
        sent = sized(body, len(body))
        step = len(sent) // 10 + 1
        with socket.create_connection(("127.0.0.1", self.server.port), timeout=60) as line:
            for start in range(0, len(sent), step):
                line.sendall(sent[start : start + step])
                time.sleep(0.1)
            status, answer = first_answer(line)
        self._count(f"{status} slow")
        self._check(status, answer, expected)

    def _gone(self, draw: random.Random) -> None:
        """A right request of somebody who does not wait for the answer."""
        body = self.questions.json(draw)[0]
        with socket.create_connection(("127.0.0.1", self.server.port), timeout=60) as line:
            line.sendall(sized(body, len(body)))
        self._count("gone")

    def _judge(self, name: str, status: int | None, answer: Any, statuses: set[Any]) -> None:
        self._count(f"{status} wrong")
        told = status is None or status == 200 or (isinstance(answer, dict) and bool(answer.get("error")))
        if status not in statuses or not told:
            self._failed(f"{name}: {status} {str(answer)[:200]}, expected one of {statuses} and an error")

    def _check(self, status: int | None, answer: Any, expected: np.ndarray) -> None:
        problem = self.questions.problem(answer, expected) if status == 200 else f"{status}: {answer}"
        if problem:
            self._failed(f"a right request: {problem}")

    def _count(self, status: str, *latency: float) -> None:
        with self.seen.lock:
            self.seen.statuses[status] += 1
            self.seen.latencies.extend(latency)

    def _failed(self, what: str) -> None:
        with self.seen.lock:
            self.seen.failures.append(what)


def first_answer(line: socket.socket) -> tuple[int | None, Any]:
    """The first answer on a connection; None where it is closed without one."""
    response = http.client.HTTPResponse(line)
    try:
        response.begin()
    except (http.client.RemoteDisconnected, ConnectionResetError):
        return None, None
    text = response.read()
    try:
        return response.status, json.loads(text)
    except ValueError:
        return response.status, text
