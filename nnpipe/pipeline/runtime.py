"""The runtime: what cannot change results in kind, and so is never part of a recipe key."""

from __future__ import annotations

import os
import platform
import subprocess
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Literal

from nnpipe.errors import UsageError
from nnpipe.pipeline.allocator import keep_freed_memory
from nnpipe.pipeline.memory import memory_for_examples
from nnpipe.store.canonical import JSON
from nnpipe.training.team import Team

RECORDED = ("nnpipe", "torch", "torchvision", "numpy", "h5py", "zarr", "safetensors", "prefect", "pydantic")


@dataclass(frozen=True)
class Runtime:
    """Where and how stages run.

    device: ``auto`` takes a GPU where there is one.
    threads: for torch on a CPU, of all processes of this machine that work together; None leaves it to torch.
    checkpoint_interval: seconds between checkpoints of a stage under way.
    log: None leaves it to the spec, whose wish counts for runs that compute something.
    memory: bytes that the examples of a split may take; None: a quarter of what is free when a stage begins.
    team: the processes that share what can be shared, of which this is one; None: it is alone.
    """

    device: Literal["auto", "cpu", "cuda"] = "auto"
    threads: int | None = None
    checkpoint_interval: float = 30.0
    log: Literal["tensorboard", "none"] | None = None
    memory: int | None = None
    team: Team | None = None

    def device_type(self) -> Literal["cpu", "cuda"]:
        """What kind of device computes. Imports torch.

        Raises:
            UsageError: there is no such device.
        """
        import torch

        available = torch.cuda.is_available()
        if self.device == "cuda" and not available:
            raise UsageError("--device cuda", expected="a GPU that torch can use", found="none", hint="--device cpu")
        return "cuda" if available and self.device != "cpu" else "cpu"

    def resolve_device(self) -> str:
        """``cpu``, ``cuda``, or which GPU is that of this process of a team. Imports torch.

        Raises:
            UsageError: there is no such device, or not one for each process.
        """
        import torch

        device = self.device_type()
        if self.team is None or device == "cpu":
            return device
        gpus = torch.cuda.device_count()
        if self.team.local > gpus:
            hint = "start fewer, or with --device cpu"
            raise UsageError("too few GPUs", expected=f"{self.team.local}, one a process", found=str(gpus), hint=hint)
        return f"cuda:{self.team.place}"

    def resolve_memory(self, device: str) -> int:
        """Bytes that the examples of a split may take where ``device`` computes."""
        if self.memory is not None:
            return self.memory
        return memory_for_examples(device) // (self.team.local if self.team else 1)

    def prepare(self) -> None:
        """Set torch's number of threads and how memory is kept, for the whole process."""
        keep_freed_memory()
        if self.threads is not None:
            import torch

            torch.set_num_threads(self.threads)


def workers_and_threads(jobs: int | None, threads: int | None, at_once: int) -> tuple[int, int | None]:
    """How many processes share this machine's processors, and how many threads each of them has.

    at_once: how many have something to do at the same time, where ``jobs`` does not say how many are wanted.
    Without ``threads`` each has an equal share of the processors, and a single one torch's own choice.
    """
    cores = os.cpu_count() or 1
    workers = jobs or max(1, min(at_once, cores // (threads or 1)))
    return workers, max(1, cores // workers) if threads is None and workers > 1 else threads


def environment(root: Path) -> dict[str, JSON]:
    """What a result was made with: versions, machine, and the commit that ``root`` stands at."""
    versions = {}
    for name in RECORDED:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return {
        "python": platform.python_version(),
        "versions": versions,
        "system": f"{platform.system()} {platform.machine()}",
        "cpus": os.cpu_count(),
        "commit": _commit(root),
    }


def _commit(root: Path) -> str | None:
    command = ["git", "-C", str(root), "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=5, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() or None
