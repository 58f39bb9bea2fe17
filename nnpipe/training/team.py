"""Processes that train together: started by torchrun, or by whatever else sets the variables that it sets.

The first of them leads. It tells the others through a store of keys, which torchrun keeps, what to join in; while they
train, they are a process group of ``torch.distributed``. Importing this loads no torch.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from hashlib import sha256
from threading import Event
from typing import TYPE_CHECKING, Any

from nnpipe.errors import Interrupted, NnpipeError, StageError

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor
    from torch.distributed import Store  # type: ignore[attr-defined]

    State = tuple[dict[str, np.ndarray], Any]  # named arrays, and a JSON document

SIZE = "WORLD_SIZE"  # what tells a process that it has company
VARIABLES = (SIZE, "RANK", "MASTER_ADDR", "MASTER_PORT")  # of torch's env:// initialisation
PATIENCE = 5.0  # seconds in which the others should hear that it is over
LOOK = 0.05  # seconds between two looks at whether there is something to join in
AGREEMENT = 0.1  # seconds, about, between two agreements whether to stop


class Alone:
    """One process that trains by itself; what a ``Team`` does together it does alone.

    size: how many processes there are. local: how many of them on this machine. leads: whether this one is the first.
    """

    rank, size, local, leads = 0, 1, 1, True

    def any(self, wish: bool) -> bool:
        """Whether one of the processes wishes so: all get the same answer, and all have to ask."""
        return wish

    def stopping(self, wish: Event) -> bool:
        """Whether to stop after this step, as one of the processes wishes; it may take a few steps to be heard."""
        return wish.is_set()

    def first(self, load: Callable[[], State | None]) -> State | None:
        """The checkpoint that the first process loads: on other machines there may be none, or an older one."""
        return load()

    def check_same(self, state: Any) -> None:
        """Refuse to go on where another process has another ``state``, such as a checkpoint holds.

        Raises:
            StageError: one has; all are told.
        """


ALONE = Alone()


class Team(Alone):
    """Several processes. ``place``: which of the GPUs of its machine is this one's."""

    def __init__(self, store: Store, rank: int, size: int, place: int, local: int) -> None:
        self.rank, self.size, self.place, self.local = rank, size, place, local
        self.leads = rank == 0
        self._store, self._told = store, 0
        self._steps, self._left, self._agreed = 1, 1, 0.0

    # -- what to join in -------------------------------------------------------------------------------------

    def tell(self, task: dict[str, Any]) -> None:
        """Let the others know the next thing that the leader does, or that it is over."""
        self._told += 1
        self._store.set(f"task/{self._told}", json.dumps(task))

    def dismiss(self, task: dict[str, Any]) -> None:
        """Tell the others that it is over, and how; wait until they heard it, as the store of keys may end with us."""
        self.tell(task)
        given_up = time.monotonic() + PATIENCE
        while self._store.add("heard", 0) < self.size - 1 and time.monotonic() < given_up:
            time.sleep(LOOK)

    def next(self, stopping: Event) -> dict[str, Any]:
        """The next thing that the leader tells, however long it takes.

        Raises:
            Interrupted: somebody asked this process to stop.
            StageError: the leader is gone.
        """
        self._told += 1
        try:
            while not self._store.check([f"task/{self._told}"]):
                if stopping.is_set():
                    raise Interrupted("stopped while another process was at work")
                time.sleep(LOOK)
            task: dict[str, Any] = json.loads(self._store.get(f"task/{self._told}"))
            if "status" in task:
                self._store.add("heard", 1)
        except RuntimeError as error:  # of torch, whose store of keys is gone
            raise StageError("the first process is gone", hint="it tells why, if it could") from error
        return task

    @contextmanager
    def together(self, device: str) -> Iterator[None]:
        """All processes enter it at once for what was told last, and can talk within it. device: of this one.

        Raises:
            StageError: another process failed, and what it said; or it was lost.
        """
        # Optimizers import _dynamo, which keeps a group that is there by then: destroying it would close no connection.
        import torch._dynamo  # noqa: F401
        from torch import cuda, distributed
        from torch.distributed import PrefixStore  # type: ignore[attr-defined]

        backend = "gloo"
        if device != "cpu":
            backend = "cpu:gloo,cuda:nccl"  # what is agreed on stays on the CPU, so that no GPU is waited for
            cuda.set_device(device)
        group = PrefixStore(f"group/{self._told}", self._store)
        distributed.init_process_group(backend, store=group, rank=self.rank, world_size=self.size)
        try:
            yield
        except Interrupted:
            raise  # all of them are
        except Exception as error:
            rank, said = self._first_failure(error)
            if rank == self.rank:
                raise
            raise StageError(f"process {rank} of {self.size} failed: {said}") from error
        finally:
            distributed.destroy_process_group()  # whoever waits for us is told that we are gone

    def _first_failure(self, error: Exception) -> tuple[int, str]:
        """Which process failed first, and what it said: it takes the others with it, which know less of why."""
        said = str(error) if isinstance(error, NnpipeError) else f"{type(error).__name__}: {error}"
        first = self._store.compare_set(f"failure/{self._told}", "", json.dumps([self.rank, said]))
        rank, said = json.loads(first)
        return rank, said

    # -- within together -------------------------------------------------------------------------------------

    def summed(self, tensors: Sequence[Tensor]) -> list[Tensor]:
        """The sums over all processes, float32; the same bits everywhere. All on one device."""
        import torch

        from nnpipe.models.share import all_reduce

        flat = torch.cat([tensor.reshape(-1) for tensor in tensors])
        all_reduce(flat)
        parts = flat.split([tensor.numel() for tensor in tensors])  # type: ignore[no-untyped-call]
        return [part.view(tensor.shape) for part, tensor in zip(parts, tensors, strict=True)]

    def any(self, wish: bool) -> bool:
        return bool(self._largest(int(wish))[0])

    def stopping(self, wish: Event) -> bool:
        # Asking takes as long as a small step does: so it is done after as many steps as take a while.
        self._left -= 1
        if self._left:
            return False
        now = time.monotonic()
        steps = max(1, round(self._steps * AGREEMENT / max(now - self._agreed, 1e-9))) if self.leads else 0
        stop, self._steps = self._largest(int(wish.is_set()), min(steps, 2 * self._steps))
        self._left, self._agreed = self._steps, now
        return bool(stop)

    def first(self, load: Callable[[], State | None]) -> State | None:
        import numpy as np
        import torch
        from safetensors.numpy import load as unpack
        from safetensors.numpy import save as pack

        from nnpipe.models.share import broadcast

        # Training begins, and steps of another duration: the first of them asks whether to stop.
        self._steps, self._left, self._agreed = 1, 1, time.monotonic()
        found = load() if self.leads else None
        data = b""
        if found:
            tensors, document = found
            text = np.frombuffer(json.dumps(document).encode(), dtype=np.uint8)
            data = pack({**{name: np.ascontiguousarray(t) for name, t in tensors.items()}, "document": text})
        (size,) = self._largest(len(data))
        if not size:
            return None
        sent = torch.frombuffer(bytearray(data), dtype=torch.uint8) if data else torch.empty(size, dtype=torch.uint8)
        broadcast(sent)
        tensors = unpack(sent.numpy().tobytes())
        return tensors, json.loads(tensors.pop("document").tobytes())

    def check_same(self, state: Any) -> None:
        from nnpipe.training.checkpoint import flatten

        tensors, document = flatten(state)
        digest = sha256(json.dumps(document).encode() + b"".join(tensor.tobytes() for tensor in tensors.values()))
        number = int.from_bytes(digest.digest()[:7])
        largest, smallest = self._largest(number, -number)
        if largest != -smallest:
            raise StageError("the processes do not start from the same weights", hint="do they read the same store?")

    def _largest(self, *numbers: int) -> list[int]:
        import torch

        from nnpipe.models.share import all_reduce

        found = torch.tensor(numbers)
        all_reduce(found, largest=True)
        return [int(number) for number in found]


def joining() -> bool:
    """Whether this process joins in what another one leads."""
    team = team_of_this_process()
    return team is not None and not team.leads


def started_together() -> int:
    """How many processes were started together with this one, which counts; 1 where it is alone. Loads no torch."""
    return int(os.environ[SIZE]) if all(name in os.environ for name in VARIABLES) else 1


@cache
def team_of_this_process() -> Team | None:
    """The processes that were started together with this one; None where it is alone."""
    if started_together() == 1:
        return None
    from torch.distributed import PrefixStore, rendezvous  # type: ignore[attr-defined]

    store, rank, size = next(rendezvous("env://"))
    # Processes that are started again may find what those before them have said.
    attempt = os.environ.get("TORCHELASTIC_RESTART_COUNT", "0")
    place, local = int(os.environ.get("LOCAL_RANK", rank)), int(os.environ.get("LOCAL_WORLD_SIZE", size))
    return Team(PrefixStore(f"nnpipe/{attempt}", store), rank, size, place, local)
