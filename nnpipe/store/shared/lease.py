"""Leases: who computes what, among machines that share nothing but objects.

A lease on NAME is the objects ``leases/NAME/1``, ``2``, …; its holder is whoever created the one with the highest
number, and rewrites it while it lives: the heartbeat. Whoever waits watches that object. If it does not change for as
long as its holder promised, by the watcher's own clock, the holder is dead, and the watcher creates the next number; of
several who do, one succeeds. No two clocks are ever compared.

A holder that only slept may wake and find a second one at work. Both then compute the same, and the recipe, which is
created once, decides whose result counts: leases save time, and truth does not rest on them.
"""

from __future__ import annotations

import json
import random
import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from threading import Event, Thread

from nnpipe.errors import Interrupted, StoreError
from nnpipe.store.canonical import canonical_json
from nnpipe.store.shared.objects import Objects

SILENCE = 60.0  # seconds without a heartbeat after which a holder counts as dead
BEATS = 4  # heartbeats in that time
LEAST, MOST = 0.2, 5.0  # seconds between two looks of whoever waits: a tenth of the time that it has waited


@dataclass(frozen=True)
class Held:
    """What the object of a lease says. silence: seconds; token: who wrote it, for a program; owner: for people."""

    token: str
    owner: str
    silence: float
    beat: int = 0


class Leases:
    """The leases of a shared store. silence: what we promise as holders, in seconds."""

    def __init__(self, objects: Objects, silence: float = SILENCE) -> None:
        self._objects, self.silence = objects, silence

    @contextmanager
    def hold(
        self,
        name: str,
        stopping: Event | None = None,
        owner: str = "somebody",
        waiting: Callable[[str], None] = lambda _: None,
        needless: Callable[[], bool] = lambda: False,
    ) -> Iterator[None]:
        """Hold ``name`` alone among machines.

        stopping, owner, waiting: as for ``Locks.hold``.
        needless: asked whenever another holder is done; if it says so, nothing is held, and nobody has to wait for us.

        Raises:
            Interrupted: ``stopping`` was set while waiting.
            RemoteError: the place cannot be reached.
        """
        ours = Held(secrets.token_hex(8), owner, self.silence)
        number = _Waiting(self._objects, name, ours, stopping, waiting).acquire(needless)
        if number is None:
            yield
            return
        ended = Event()
        beating = Thread(target=self._beat, args=(_path(name, number), ours, ended), daemon=True)
        beating.start()
        try:
            yield
        finally:
            ended.set()
            beating.join()
            with suppress(StoreError):  # then it falls silent, which comes to the same, later
                # The highest last: whoever comes meanwhile finds a holder, or nothing.
                self._objects.remove(*(_path(name, each) for each in range(1, number + 1)))

    def _beat(self, path: str, ours: Held, ended: Event) -> None:
        while not ended.wait(self.silence / BEATS):
            ours = replace(ours, beat=ours.beat + 1)
            with suppress(StoreError):
                self._objects.write(path, _told(ours))


class _Waiting:
    """One wish to hold a lease, until it is fulfilled."""

    def __init__(
        self, objects: Objects, name: str, ours: Held, stopping: Event | None, waiting: Callable[[str], None]
    ) -> None:
        self._objects, self._name, self._ours = objects, name, ours
        self._stopping, self._waiting = stopping or Event(), waiting
        self._began, self._met = time.monotonic(), False

    def acquire(self, needless: Callable[[], bool]) -> int | None:
        """The number under which we hold it; None: it was let go, and is not needed any more."""
        number = 1
        while not self._created(number):
            holder = max(self._numbers(), default=0)
            if holder and self._silent(holder):
                number = holder + 1
            elif needless():
                return None
            else:
                number = 1
        return number

    def _created(self, number: int) -> bool:
        path = _path(self._name, number)
        if self._objects.create(path, _told(self._ours)):
            return True
        there = self._read(number)  # an answer may have been lost, and the request repeated
        return there is not None and there.token == self._ours.token

    def _silent(self, number: int) -> bool:
        """Watch a holder; whether it fell silent, or else let go, or was succeeded by another."""
        seen, since = None, time.monotonic()
        while (there := self._read(number)) is not None:
            self._meet(there.owner)
            if there != seen:
                seen, since = there, time.monotonic()
            elif time.monotonic() - since > there.silence:
                return max(self._numbers(), default=0) == number
            self._pause(there.silence)
        return False

    def _meet(self, owner: str) -> None:
        if not self._met:
            self._met = True
            self._waiting(owner)

    def _pause(self, silence: float) -> None:
        waited = time.monotonic() - self._began
        longest = min(max(LEAST, waited / 10), MOST, silence / BEATS)
        if self._stopping.wait(longest * random.uniform(0.5, 1)):
            raise Interrupted(f"stopped while another machine computes {self._name[:12]}")

    def _read(self, number: int) -> Held | None:
        try:
            return Held(**json.loads(self._objects.read(_path(self._name, number))))
        except FileNotFoundError:
            return None
        except (ValueError, TypeError) as error:
            where = f"{self._objects.url}/{_path(self._name, number)}"
            raise StoreError("not a lease", where=where, found=str(error), hint="remove it") from error

    def _numbers(self) -> Iterator[int]:
        for entry in self._objects.entries(f"leases/{self._name}"):
            last = entry.name.rpartition("/")[2]
            if last.isdigit():
                yield int(last)


def _path(name: str, number: int) -> str:
    return f"leases/{name}/{number}"


def _told(held: Held) -> bytes:
    return canonical_json(asdict(held))
