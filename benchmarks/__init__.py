"""Speed, measured beside what people would use instead: ``python -m benchmarks``.

A benchmark is a module with ``run(options) -> Result`` and one line here. Each runs in a process of its own.
"""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).parents[1]

BENCHMARKS = {  # name -> module
    "convnet": "benchmarks.convnet",
    "rbm": "benchmarks.rbm",
    "denoising": "benchmarks.denoising",
    "nothing_to_do": "benchmarks.nothing_to_do",
    "prefect": "benchmarks.prefect",
    "not_training": "benchmarks.not_training",
    "ingest": "benchmarks.ingest",
    "start_up": "benchmarks.start_up",
    "growth_of_training": "benchmarks.growth_of_training",
    "growth_of_store": "benchmarks.growth_of_store",
}
ON_GPU = {  # these say so where there is none
    "gpu_convnet": "benchmarks.gpu_convnet",
    "gpu_dbn": "benchmarks.gpu_dbn",
}
