"""What a step frees, the next one gets again without asking the system."""

from __future__ import annotations

import platform
import subprocess
import sys

import pytest

from nnpipe.pipeline.allocator import keep_freed_memory

# Page faults of taking and freeing 100 blocks of 4 MiB, every page of which is touched.
FAULTS = """
import resource, sys
from nnpipe.pipeline.allocator import keep_freed_memory
if sys.argv[1] == "kept":
    assert keep_freed_memory()
def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt
largest = 9
b"x" * (largest << 20)
before = faults()
for size in [4, 9] * 50:
    b"x" * (size << 20)
print(faults() - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="the allocator of glibc alone is told")
def test_blocks_that_were_freed_cost_no_page_faults() -> None:
    def faults(how: str) -> int:
        done = subprocess.run([sys.executable, "-c", FAULTS, how], capture_output=True, text=True, check=True)
        return int(done.stdout)

    assert faults("kept") < faults("default") / 4


def test_an_allocator_that_somebody_tuned_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MALLOC_TRIM_THRESHOLD_", "1000000")
    assert not keep_freed_memory()
