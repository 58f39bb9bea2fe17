"""The line to a remote store: whether it is up, and what becomes of a call when it is not."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

from nnpipe.store.shared.objects import RemoteError

T = TypeVar("T")
AGAIN = 60.0  # seconds after a failure in which nothing is tried


class Line:
    """Calls of one process. The first has to succeed: a wrong address is told at once, not gone on without.

    After that a failure is told once, and work goes on with what is here; a minute later the place is tried again.

    tell: tells people a line.
    """

    def __init__(self, url: str, tell: Callable[[str], None]) -> None:
        self._url, self._tell = url, tell
        self._met, self._quiet_until = False, 0.0
        self._error: RemoteError | None = None

    def ask(self, call: Callable[[], T]) -> T:
        """What ``call`` returns.

        Raises:
            RemoteError: the place cannot be reached, or could not just now.
        """
        if self._error and time.monotonic() < self._quiet_until:
            raise self._error
        try:
            answer = call()
        except RemoteError as error:
            self._error, self._quiet_until = error, time.monotonic() + AGAIN
            raise
        self._met = True
        if self._error:
            self._error = None
            self._tell(f"{self._url} answers again")
        return answer

    def try_to(self, call: Callable[[], T]) -> T | None:
        """What ``call`` returns; None where the place cannot be reached, which is told once.

        Raises:
            RemoteError: it never worked yet.
        """
        known = self._error
        try:
            return self.ask(call)
        except RemoteError as error:
            if not self._met:
                raise
            if known is None:
                self._tell(f"going on without the shared store, nnpipe push sends what is new later: {error}")
            return None
