"""Signals that ask a process to stop: work under way keeps a checkpoint first."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event
from types import FrameType


@contextmanager
def stopped_by_signals(stopping: Event) -> Iterator[None]:
    """Let SIGINT and SIGTERM set ``stopping``; only the main thread may, and only it is asked to."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(number: int, frame: FrameType | None) -> None:
        if stopping.is_set() and number == signal.SIGINT:
            signal.default_int_handler(number, frame)
        stopping.set()
        if os.isatty(2):  # nobody else has keys to press, and a log has its own form
            # Written past the buffers of sys.stderr, which may be in the middle of something else.
            os.write(2, b"\nstopping with a checkpoint; once more to stop at once\n")

    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
