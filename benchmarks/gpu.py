"""What the benchmarks on a GPU share."""

from __future__ import annotations

from benchmarks.measure import Absent


def need_gpu() -> str:
    """The GPU's name.

    Raises:
        Absent: there is none that torch can use.
    """
    import torch

    if not torch.cuda.is_available():
        raise Absent("no GPU here: torch.cuda.is_available() is False")
    return torch.cuda.get_device_name()
