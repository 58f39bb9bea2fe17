"""How much memory a process may still take: of the machine, under its own limits and those of its control groups.

Only where examples are kept depends on it, never a result.
"""

from __future__ import annotations

import os
import resource
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

PART = 4  # a split of more than this part of what is free stays in its file; there may be three of them
GROUPS, GROUP_NAMES = Path("/sys/fs/cgroup"), Path("/proc/self/cgroup")
UNLIMITED = 1 << 60  # groups without a limit tell one of about this size


def memory_for_examples(device: str) -> int:
    """Bytes that a split may take where ``device``, cpu or a GPU, computes; it goes through the host's memory too."""
    free = free_memory()
    if device != "cpu":
        import torch

        free = min(free, torch.cuda.mem_get_info(device)[0])
    return free // PART


def free_memory() -> int:
    """Bytes that can still be had on the host."""
    return max(0, min([_free_on_the_machine(), *_free_under_limits(), *_free_in_groups()]))


def _free_on_the_machine() -> int:
    found = _amounts(Path("/proc/meminfo")).get("MemAvailable")
    return found if found is not None else os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2


def _free_under_limits() -> Iterator[int]:
    """Under ``ulimit -v`` and ``ulimit -d``."""
    used = _amounts(Path("/proc/self/status"))
    for limit, counted in ((resource.RLIMIT_AS, "VmSize"), (resource.RLIMIT_DATA, "VmData")):
        most = resource.getrlimit(limit)[0]
        if most != resource.RLIM_INFINITY:
            yield most - used.get(counted, 0)


def _amounts(path: Path) -> dict[str, int]:
    """The lines ``Name: 12 kB`` of a file of /proc, in bytes; none where there is no such file."""
    found = {}
    with suppress(OSError):
        for line in path.read_text().splitlines():
            name, _, amount = line.partition(":")
            if amount.endswith(" kB"):
                found[name] = int(amount.removesuffix(" kB")) * 1024
    return found


def _free_in_groups() -> Iterator[int]:
    """In the control groups that this process is in, and in those above; of version 2 and of version 1."""
    lines = GROUP_NAMES.read_text().splitlines() if GROUP_NAMES.exists() else []
    for line in lines:
        _, controllers, name = line.split(":", 2)
        if not controllers:
            yield from _free_below(GROUPS, name, "memory.max", "memory.current", "")
        elif "memory" in controllers.split(","):
            yield from _free_below(GROUPS / "memory", name, "memory.limit_in_bytes", "memory.usage_in_bytes", "total_")


def _free_below(root: Path, name: str, limit: str, usage: str, prefix: str) -> Iterator[int]:
    place = root / name.strip("/")
    for group in (place, *place.parents):
        # Outside the root, at it, where there is no limit, and of groups that a container does not show: nothing.
        with suppress(OSError, ValueError, KeyError):
            group.relative_to(root)
            most, used = (int((group / file).read_text()) for file in (limit, usage))
            statistics = dict(line.split() for line in (group / "memory.stat").read_text().splitlines())
            cached = sum(int(statistics[f"{prefix}{state}_file"]) for state in ("active", "inactive"))
            if most < UNLIMITED:
                yield most - used + cached  # as what the page cache holds gives way
