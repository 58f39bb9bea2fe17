"""Memory that a step freed is kept for the next one: asking the system for it anew costs a fifth of a step's time.

glibc gives large blocks back at once, and the top of its heap as soon as it may; a training step frees and takes the
same blocks again, and each time the kernel has to clear their pages.
"""

from __future__ import annotations

import os

# Of malloc.h, in glibc; others have no such function, and are left alone.
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
KEPT = 512 << 20  # bytes on top of the heap, at most
LARGEST = 32 << 20  # bytes of a block that comes from the heap: the most that glibc allows


def keep_freed_memory() -> bool:
    """Tell the allocator of this process, once and for all; whether it took it.

    Somebody who tuned it by its own variables is left alone.
    """
    if any(name.startswith("MALLOC_") or name == "GLIBC_TUNABLES" for name in os.environ):
        return False
    import ctypes

    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):
        return False
    return bool(mallopt(M_MMAP_THRESHOLD, LARGEST) and mallopt(M_TRIM_THRESHOLD, KEPT))
