"""make for neural networks: declarative pipelines with a persistent artifact store.

>>> import nnpipe
>>> run = nnpipe.run("specs/digits.yaml", set={"train.epochs": 3})
>>> run.metrics["test_accuracy"], run.report, run.artifact("finetune")

Importing this loads nothing: a public name is loaded when it is first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nnpipe.api import execute, load_model, plan, read_spec, run
    from nnpipe.errors import (
        CorruptionError,
        DataError,
        Interrupted,
        NnpipeError,
        SpecError,
        StageError,
        StoreError,
        UsageError,
    )
    from nnpipe.pipeline.plan import Plan
    from nnpipe.pipeline.run import Run
    from nnpipe.pipeline.spec import Spec
    from nnpipe.stages.work import Observer
    from nnpipe.sweeps.sweep import Sweep, sweep

    __version__: str

__all__ = [
    "CorruptionError",
    "DataError",
    "Interrupted",
    "NnpipeError",
    "Observer",
    "Plan",
    "Run",
    "Spec",
    "SpecError",
    "StageError",
    "StoreError",
    "Sweep",
    "UsageError",
    "__version__",
    "execute",
    "load_model",
    "plan",
    "read_spec",
    "run",
    "sweep",
]

_MODULES = {
    "Observer": "nnpipe.stages.work",
    "Plan": "nnpipe.pipeline.plan",
    "Run": "nnpipe.pipeline.run",
    "Spec": "nnpipe.pipeline.spec",
    **dict.fromkeys(("Sweep", "sweep"), "nnpipe.sweeps.sweep"),
    **dict.fromkeys(("execute", "load_model", "plan", "read_spec", "run"), "nnpipe.api"),
    **dict.fromkeys((name for name in __all__ if name.endswith("Error") or name == "Interrupted"), "nnpipe.errors"),
}


def __getattr__(name: str) -> object:
    """Load a public name when it is first used (PEP 562)."""
    if name == "__version__":
        from importlib.metadata import version

        value: object = version("nnpipe")
    elif name in _MODULES:
        value = getattr(import_module(_MODULES[name]), name)
    else:
        raise AttributeError(f"module 'nnpipe' has no attribute {name!r}", name=name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
