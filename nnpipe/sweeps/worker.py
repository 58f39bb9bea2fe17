"""Another process that carries out runs of a sweep: it is told which in lines of JSON, and answers in such.

It stops with a checkpoint when its standard input ends, so none outlives its parent.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, replace
from queue import SimpleQueue
from threading import Event, Thread
from typing import TYPE_CHECKING, Any, TextIO

from nnpipe.errors import NnpipeError
from nnpipe.stages.work import Observer, Silent
from nnpipe.sweeps.member import Answer, Settings, carry_out

if TYPE_CHECKING:
    from nnpipe.pipeline.plan import Plan
    from nnpipe.store.canonical import JSON

STOP = "stop"


class Worker:
    """The other process, seen from the one that started it; one run at a time."""

    def __init__(self) -> None:
        self._stopped = False
        # In a group of its own: Ctrl-C reaches the parent alone, which tells it.
        self._process = subprocess.Popen(
            [sys.executable, "-m", "nnpipe.sweeps.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            encoding="utf-8",
            process_group=0,
        )

    def carry_out(self, plan: Plan, settings: Settings, observer: Observer) -> Answer:
        """Let it carry out a plan; its death is a failure of the member."""
        task = {
            "spec": plan.spec.model_dump(mode="json"),
            "root": str(plan.root.resolve()),
            "store": plan.store.place,
            "decisions": [decision.to_json() for decision in plan.decisions],
            "settings": asdict(settings),
        }
        assert self._process.stdout is not None
        self._write(json.dumps(task))
        for line in self._process.stdout:
            told = json.loads(line)
            if "answer" in told:
                answer = Answer(**told["answer"])
                self._stopped = answer.status == "interrupted"
                return answer
            getattr(observer, told["tell"])(*told["words"])
        return Answer(status="failed", error=f"its process ended with status {self._process.wait()}")

    @property
    def ready(self) -> bool:
        """Whether it can carry out another run: it lives, and was not told to stop."""
        return self._process.poll() is None and not self._stopped

    def stop(self) -> None:
        """Ask it to stop with a checkpoint."""
        self._write(STOP)

    def kill(self) -> None:
        """End it at once."""
        self._process.kill()

    def close(self) -> None:
        """Let it end, which it does at once when it is idle, and wait for that."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        with suppress(OSError):
            self._process.stdin.close()
        self._process.wait()
        self._process.stdout.close()

    def _write(self, line: str) -> None:
        assert self._process.stdin is not None
        with suppress(OSError, ValueError):  # it died, which its silence tells
            self._process.stdin.write(line + "\n")
            self._process.stdin.flush()


class Told(Silent):
    """An observer that writes what it is told as lines of JSON."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, message: JSON) -> None:
        with suppress(BrokenPipeError):  # the parent is gone: the end of standard input stops us
            self._stream.write(json.dumps(message) + "\n")
            self._stream.flush()

    def started(self, stage: str) -> None:
        self.write({"tell": "started", "words": [stage]})

    def epoch(self, stage: str, record: Mapping[str, float], epochs: int) -> None:
        self.write({"tell": "epoch", "words": [stage, dict(record), epochs]})

    def waiting(self, stage: str, owner: str) -> None:
        self.write({"tell": "waiting", "words": [stage, owner]})

    def finished(self, stage: str, status: str, seconds: float) -> None:
        self.write({"tell": "finished", "words": [stage, status, seconds]})


def main() -> None:
    """Carry out runs as standard input tells them, until it ends."""
    told = Told(os.fdopen(os.dup(1), "w", encoding="utf-8"))
    os.dup2(2, 1)  # whatever a library prints is no answer
    tasks: SimpleQueue[Any] = SimpleQueue()
    stopping = Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stopping.set())
    Thread(target=_listen, args=(tasks, stopping), daemon=True).start()
    while (task := tasks.get()) is not None:
        told.write({"answer": asdict(_carry_out(task, told, stopping))})


def _listen(tasks: SimpleQueue[Any], stopping: Event) -> None:
    with os.fdopen(os.dup(0), encoding="utf-8") as lines:
        for line in lines:
            if line.strip() == STOP:
                stopping.set()
            else:
                tasks.put(json.loads(line))
    stopping.set()
    tasks.put(None)


def _carry_out(task: JSON, observer: Observer, stopping: Event) -> Answer:
    from nnpipe import api
    from nnpipe.pipeline.precision import Decision

    try:
        plan = api.plan(task["spec"], store=task["store"], root=task["root"])
        plan = replace(plan, decisions=tuple(Decision(**told) for told in task["decisions"]))
        return carry_out(plan, Settings(**task["settings"]), observer, stopping)
    except NnpipeError as error:
        return Answer(status="failed", error=error.what)


if __name__ == "__main__":
    main()
    sys.stderr.flush()
    os._exit(0)  # the parent waits: taking the interpreter apart takes a second once torch is loaded
