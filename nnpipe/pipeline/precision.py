"""What ``precision: auto`` comes to, decided when a plan is made, so that keys hold it. Argued in docs/keys.md.

Where training needs float32, that; else bfloat16 where it was measured to be fast. A measurement is made once for a
processor and a version of torch, and kept in the store's memo. torch is loaded to make one, and for nothing else.
"""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from importlib import metadata
from pathlib import Path
from threading import Lock
from typing import Literal

from nnpipe.pipeline.allocator import keep_freed_memory
from nnpipe.pipeline.runtime import Runtime
from nnpipe.pipeline.spec import Spec
from nnpipe.pretraining.pretrain import Pretrain
from nnpipe.store.canonical import JSON
from nnpipe.store.store import Store
from nnpipe.training.precision import Precision

Device = Literal["auto", "cpu", "cuda"]
MARGIN = 1.3  # how many times as fast bfloat16 has to be: less is not worth its rounding
CPUS, GPUS = Path("/proc/cpuinfo"), Path("/proc/driver/nvidia/gpus")
_ALONE = Lock()


@dataclass(frozen=True)
class Decision:
    """What ``auto`` came to in one field of a spec.

    measured: seconds of a step in each precision, and on what; None where nothing had to be measured.
    """

    field: str
    precision: Precision
    reason: str
    measured: JSON = None

    def to_json(self) -> JSON:
        return {"field": self.field, "precision": self.precision, "reason": self.reason, "measured": self.measured}

    def __str__(self) -> str:
        return f"{self.field} auto -> {self.precision}: {self.reason}"


def decide(spec: Spec, store: Store, device: Device) -> tuple[Spec, tuple[Decision, ...]]:
    """``spec`` with a precision in place of each ``auto``, and what was decided. device: where it will learn.

    Raises:
        UsageError: there is no such device.
    """
    decisions = tuple(_decision(field, needs, store, device) for field, needs in _asking(spec))
    found = {decision.field: decision.precision for decision in decisions}
    update: dict[str, object] = {}
    if "train.precision" in found:
        update["train"] = spec.train.model_copy(update={"precision": found["train.precision"]})
    if spec.pretrain:
        update["pretrain"] = _pretrained_in(spec.pretrain, found)
    return (spec.model_copy(update=update) if decisions else spec), decisions


def _asking(spec: Spec) -> Iterator[tuple[str, str | None]]:
    """Each field that is ``auto``, and what needs float32 there, if something does."""
    if spec.train.precision == "auto":
        yield "train.precision", spec.train.needs_float32
    pretrain = spec.pretrain
    if pretrain is None:
        return
    own = {number: settings.precision for number, settings in pretrain.per_layer.items()}
    if pretrain.precision == "auto":
        common = [
            pretrain.optimizer,
            *(pretrain.settings(n).optimizer for n, precision in own.items() if not precision),
        ]
        yield "pretrain.precision", next((each.kind for each in common if each.needs_float32), None)
    for number in (number for number, precision in own.items() if precision == "auto"):
        optimizer = pretrain.settings(number).optimizer
        yield _own_field(number), optimizer.kind if optimizer.needs_float32 else None


def _pretrained_in(pretrain: Pretrain, found: dict[str, Precision]) -> Pretrain:
    per_layer = {
        number: own.model_copy(update={"precision": found[_own_field(number)]}) if _own_field(number) in found else own
        for number, own in pretrain.per_layer.items()
    }
    precision = found.get("pretrain.precision", pretrain.precision)
    return pretrain.model_copy(update={"precision": precision, "per_layer": per_layer})


def _own_field(number: int) -> str:
    return f"pretrain.per_layer.{number}.precision"


def _decision(field: str, needs: str | None, store: Store, device: Device) -> Decision:
    if needs:
        return Decision(field, "float32", f"{needs} needs it")
    measured = measurement(store, device)
    times = measured["float32"] / measured["bfloat16"]
    told = f"{times:.1f} times as fast as float32 on {measured['processor']}"
    if times >= MARGIN:
        return Decision(field, "bfloat16", told, measured)
    return Decision(field, "float32", f"bfloat16 is {told}, and less than {MARGIN} is not worth it", measured)


# -- measuring -----------------------------------------------------------------------------------------------


def measurement(store: Store, device: Device) -> dict[str, JSON]:
    """What ``store`` remembers of the processor that computes; measured where it does not, which takes a second."""
    found = _remembered(store, device_key(), _device) if device == "auto" else device
    return dict(_remembered(store, memo_key(found), lambda: _measured(found)))


def device_key() -> str:
    """Under which it is remembered what device ``auto`` is: all that it depends on and can be told without torch."""
    return "device/1:" + json.dumps([*_gpus(), metadata.version("torch")])


def memo_key(device: Literal["cpu", "cuda"]) -> str:
    """Under which it is remembered how fast this machine's processor or GPU is."""
    processor = [_processor()] if device == "cpu" else _gpus()
    return "precision/1:" + json.dumps([device, *processor, metadata.version("torch")])


def _remembered(store: Store, key: str, find: Callable[[], JSON]) -> JSON:
    kept = store.memo.get(key)
    if kept is None:
        with _ALONE:
            kept = find()
        store.memo.put(key, kept)
    return kept


def _device() -> Literal["cpu", "cuda"]:
    return Runtime().device_type()


@cache
def _measured(device: Literal["cpu", "cuda"]) -> dict[str, JSON]:
    """Once in a process, so that plans of one process agree whether or not there is a store to remember it."""
    import torch

    from nnpipe.training.speed import seconds_per_step

    Runtime(device).device_type()  # which refuses one that is not there
    keep_freed_memory()  # as it will be in training
    processor = torch.cuda.get_device_name() if device == "cuda" else _processor()
    machine = {"device": device, "processor": processor, "torch": str(torch.__version__)}
    return machine | {str(precision): seconds for precision, seconds in seconds_per_step(device).items()}


def _processor() -> str:
    lines = CPUS.read_text().splitlines() if CPUS.exists() else []
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, "") or platform.processor() or platform.machine()


def _gpus() -> list[str]:
    """Those that NVIDIA's driver tells of, in order, and which of them may be used."""
    return [
        *(_model(path) for path in sorted(GPUS.glob("*/information"))),
        os.environ.get("CUDA_VISIBLE_DEVICES", "all"),
    ]


def _model(path: Path) -> str:
    lines = path.read_text().splitlines()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("Model:")), "")
