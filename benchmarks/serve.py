"""Ask ``nnpipe serve`` a great deal at once, rightly and wrongly, and see that it holds.

    python -m benchmarks.serve MODEL.onnx [--requests 10000] [--connections 16] [--seed 0]

The server is a process of its own; connections are threads here, each with one that is kept alive. Six requests of ten
are well formed, JSON of several examples or a PNG, and what comes back is compared with what the model itself says. The
others are those of ``benchmarks.malformed``: what is no JSON, no image, no HTTP, too large, slow, or cut. Those that
can be answered must be with a status of 4xx and an ``error``. Printed are requests a second, the latency of well-formed
ones, the statuses, and the memory of the server; then it is asked to stop. The exit status is 1 if any of this is not
as it should be. Client and server share the machine's cores.
"""

from __future__ import annotations

import argparse
import socket
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from benchmarks.malformed import HEAD, sized
from benchmarks.serve_client import WARM, Client, Questions, Seen, first_answer
from benchmarks.serve_process import Server
from nnpipe.prediction.model import open_model


def waiting(server: Server, sent: bytes) -> tuple[int | None, float]:
    """What comes back to somebody who begins a request and goes no further, and after how many seconds."""
    started = time.perf_counter()
    with socket.create_connection(("127.0.0.1", server.port), timeout=60) as line:
        line.sendall(sent)
        status, _ = first_answer(line)
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
