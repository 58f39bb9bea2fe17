"""What figures depend on and a reader needs to know: the machine, the versions, what else went on."""

from __future__ import annotations

import os
import platform
import re
import sys
from importlib import metadata
from pathlib import Path

PACKAGES = ("torch", "numpy", "keras", "scikit-learn", "rbms", "prefect", "dvc", "snakemake", "redun")
CACHES = Path("/sys/devices/system/cpu/cpu0/cache")
BFLOAT16 = ("avx512_bf16", "amx_bf16")  # products in bfloat16 are slow on processors without


def machine() -> dict[str, str]:
    """Facts, each in a few words. The GPU is told if torch is loaded, and has one."""
    facts = {"processor": processor(), "cores": str(os.cpu_count()), "caches": _caches(), "gpu": _gpu()}
    facts |= {"system": f"{platform.system()} {platform.machine()}", "python": platform.python_version()}
    facts["versions"] = ", ".join(f"{name} {version}" for name in PACKAGES if (version := _version(name)))
    return {name: fact for name, fact in facts.items() if fact}


def load() -> float:
    """How many processes wanted a core in the last minute, on average: 0 on a quiet machine."""
    return round(os.getloadavg()[0], 2)


def processor() -> str:
    """The processor's name, and whether it multiplies in bfloat16."""
    try:
        told = Path("/proc/cpuinfo").read_text()
    except OSError:
        return platform.processor() or platform.machine()
    name = re.search(r"^model name\s*:\s*(.+)$", told, re.MULTILINE)
    knows = any(flag in told for flag in BFLOAT16)
    return f"{name[1].strip() if name else platform.machine()}, with{'' if knows else 'out'} bfloat16"


def _caches() -> str:
    """Of the first core: L1d 48K, L2 1024K, L3 32768K."""
    found = []
    for folder in sorted(CACHES.glob("index*")):
        kind, level, size = ((folder / name).read_text().strip() for name in ("type", "level", "size"))
        if kind != "Instruction":
            found.append(f"L{level} {size}")
    return ", ".join(found)


def _gpu() -> str:
    torch = sys.modules.get("torch")
    return str(torch.cuda.get_device_name()) if torch is not None and torch.cuda.is_available() else ""


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None
