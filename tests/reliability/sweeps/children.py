"""Work done in forked children, so that it can be killed: what a parent has imported is not imported again."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

KILLED = -signal.SIGKILL


def start(work: Callable[[], object]) -> int:
    """Call ``work`` in a child and return its process id. Its status is 0, or 1 if it raised."""
    sys.stdout.flush()
    child = os.fork()
    if child:
        return child
    try:
        work()
    except BaseException:
        traceback.print_exc()
        os._exit(1)
    os._exit(0)


def wait(child: int) -> int:
    """The exit status of a child; minus the number of the signal that ended it."""
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def wait_or_kill(child: int, seconds: float) -> int:
    """Its exit status if it ends by itself within ``seconds``; then SIGKILL comes."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.001)
    os.kill(child, signal.SIGKILL)
    return wait(child)


def result(work: Callable[[], Any], scratch: Path) -> Any:
    """What ``work`` returns in a child (JSON); RuntimeError if it ends otherwise."""
    answer = scratch / f"answer-{os.getpid()}.json"
    status = wait(start(lambda: answer.write_text(json.dumps(work()))))
    if status:
        raise RuntimeError(f"a child ended with status {status}")
    value = json.loads(answer.read_text())
    answer.unlink()
    return value
