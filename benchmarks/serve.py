"""Ask ``nnpipe serve`` a great deal at once, rightly and wrongly, and see that it holds.

    python -m benchmarks.serve MODEL.onnx [--requests 10000] [--connections 16] [--seed 0]

The server is a process of its own; connections are threads here, each with one that is kept alive. Six requests of ten
are well formed, JSON of several examples or a PNG, and what comes back is compared with what the model itself says. The
others are drawn from ``WRONG`` and ``BROKEN``: what is no JSON, no image, no HTTP, too large, slow, or cut. Those that
can be answered must be with a status of 4xx and an ``error``. Printed are requests a second, the latency of well-formed
ones, the statuses, and the memory of the server; then it is asked to stop. The exit status is 1 if any of this is not
as it should be. Client and server share the machine's cores.
"""

from __future__ import annotations

import argparse
import contextlib
import http.client
import json
import random
import re
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.malformed import BROKEN, HEAD, JSON, PNG, WRONG, Body, png, sized
from nnpipe.prediction.model import TrainedModel, open_model

WARM, POOL, TOLERANCE = 1000, 64, 2e-6  # answers are rounded to 8 places


class Server:
    """The process, and what can be seen of it from outside."""

    def __init__(self, model: Path) -> None:
        self.said = tempfile.TemporaryFile("w+")  # noqa: SIM115 - as long as the process
        command = [sys.executable, "-m", "nnpipe", "serve", str(model), "--port", "0"]
        self.process = subprocess.Popen(command, stderr=self.said)
        while not (found := re.search(r"http://127.0.0.1:(\d+)", self.stderr())):
            if self.process.poll() is not None:
                raise SystemExit(self.stderr())
            time.sleep(0.05)
        self.port = int(found[1])

    def stderr(self) -> str:
        self.said.seek(0)
        return self.said.read()

    def memory(self) -> float:
        """Resident, in MB."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.search(r"VmRSS:\s+(\d+)", status)[1]) / 1024  # type: ignore[index]

    def stop(self) -> tuple[int, float]:
        """Exit status and seconds."""
        started = time.perf_counter()
        self.process.send_signal(signal.SIGTERM)
        status = self.process.wait(30)
        return status, time.perf_counter() - started


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
            self._judge(name, *_answer(line), statuses)

    def _slow(self, draw: random.Random) -> None:
        """A right request, a few bytes at a time."""
        body, expected = self.questions.json(draw)
        sent = sized(body, len(body))
        step = len(sent) // 10 + 1
        with socket.create_connection(("127.0.0.1", self.server.port), timeout=60) as line:
            for start in range(0, len(sent), step):
                line.sendall(sent[start : start + step])
                time.sleep(0.1)
            status, answer = _answer(line)
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


def _answer(line: socket.socket) -> tuple[int | None, Any]:
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


def waiting(server: Server, sent: bytes) -> tuple[int | None, float]:
    """What comes back to somebody who begins a request and goes no further, and after how many seconds."""
    started = time.perf_counter()
    with socket.create_connection(("127.0.0.1", server.port), timeout=60) as line:
        line.sendall(sent)
        status, _ = _answer(line)
    return status, time.perf_counter() - started


def ask_all(server: Server, questions: Questions, requests: int, connections: int, seed: int) -> tuple[Seen, float]:
    """What came back from ``requests`` requests, and how many seconds they took."""
    seen, numbers = Seen(), iter(range(requests))

    def work(_: int) -> None:
        client = Client(server, questions, seen)
        while True:
            with seen.lock:
                number = next(numbers, None)
            if number is None:
                return
            client.ask(number, seed)

    started = time.perf_counter()
    with ThreadPoolExecutor(connections) as pool:
        list(pool.map(work, range(connections)))
    return seen, time.perf_counter() - started


def main() -> None:
    """Ask, and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("--requests", type=int, default=10_000)
    parser.add_argument("--connections", type=int, default=16)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    if options.requests < 2 * WARM:
        parser.error(f"memory is measured from request {WARM} on: ask {2 * WARM} or more")
    questions, server = Questions(open_model(options.model), options.seed), Server(options.model)
    print(f"the server has {server.memory():.1f} MB when it starts", flush=True)
    with ThreadPoolExecutor(2) as pool:
        begun = [pool.submit(waiting, server, sent) for sent in (HEAD, sized(b"{", 10))]
        seen, seconds = ask_all(server, questions, options.requests, options.connections, options.seed)
        (silent, silence), (unfinished, patience) = (each.result() for each in begun)
    status, stopping = server.stop()
    middle, high = np.percentile(seen.latencies, [50, 99]) * 1000
    grown = seen.memory[max(seen.memory)] - seen.memory[WARM]
    print(f"{seen.done} requests in {seconds:.1f} s: {seen.done / seconds:.0f} a second")
    print(f"latency of right ones: median {middle:.1f} ms, 99th percentile {high:.1f} ms")
    print("answers: " + ", ".join(f"{count} x {status}" for status, count in sorted(seen.statuses.items())))
    print("memory: " + ", ".join(f"{size:.1f} MB after {count}" for count, size in seen.memory.items()))
    print(f"half a head: closed after {silence:.1f} s; half a body: {unfinished} after {patience:.1f} s")
    print(f"asked to stop: exit status {status} after {stopping:.1f} s")
    checks = {
        f"{len(seen.failures)} answers were wrong: {seen.failures[:5]}": not seen.failures,
        f"memory grew by {grown:.1f} MB": grown < max(10, 0.05 * seen.memory[WARM]),
        "somebody could keep a connection without asking": silent is None and unfinished == 408,
        "it did not stop in order": status == 0 and stopping < 10,
        f"the server complained: {server.stderr()[:3000]}": "Traceback" not in server.stderr(),
    }
    wrong = [what for what, right in checks.items() if not right]
    print("\n".join(wrong) or "all as it should be")
    sys.exit(bool(wrong))


if __name__ == "__main__":
    main()
