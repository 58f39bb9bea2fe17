"""Every optimizer trains as a spec says, from data to the summary of the trained network."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import nnpipe
from nnpipe.spec import members
from nnpipe.training.history import REASONS
from nnpipe.training.optimizers import AnyOptimizer

KINDS = [member.model_fields["kind"].default for member in tuple(members(AnyOptimizer))]
FULL = {"batch_size": "full"}
OPTIONS: dict[str, dict[str, Any]] = {
    "conjugate_gradient": FULL,
    "scaled_conjugate_gradient": FULL,
    "lbfgs": {"optimizer": {"kind": "lbfgs", "iterations": 3}, **FULL},
    "levenberg_marquardt": FULL,
}


def trained(store: Path, **train: Any) -> dict[str, Any]:
    """The summary of a network of 2-4-4-1 sigmoid units for two clouds of 40 points, trained for 4 epochs."""
    layers = [{"kind": "dense", "units": units, "activation": "sigmoid"} for units in (4, 4, 1)]
    spec = {
        "version": 1,
        "name": "trained",
        "data": {"source": {"kind": "two_classes", "samples": 40}},
        "model": {"layers": layers},
        "train": {"loss": "mean_squared_error", "epochs": 4, **train},
    }
    run = nnpipe.run(spec, store=store, until="finetune", engine="local", device="cpu")
    assert run.status == "done"
    summary: dict[str, Any] = run.artifact("finetune").summary
    return summary


@pytest.mark.parametrize("kind", KINDS)
def test_every_optimizer_trains_and_the_summary_says_why_it_ended(tmp_path: Path, kind: str) -> None:
    summary = trained(tmp_path, **{"optimizer": kind, **OPTIONS.get(kind, {})})
    assert (summary["stopped"], summary["epochs"]) == ("epochs", 4)
    assert 0 < summary["loss"] < 0.35


@pytest.mark.parametrize(
    ("reason", "train"),
    [
        ("epochs", {"optimizer": "adam"}),
        ("goal", {"optimizer": "adam", "goal": 0.5}),
        ("time", {"optimizer": "adam", "time_limit": 1e-9}),
        ("min_grad", {"optimizer": {"kind": "conjugate_gradient", "min_grad": 1.0}, **FULL}),
        ("min_grad", {"optimizer": {"kind": "scaled_conjugate_gradient", "min_grad": 1.0}, **FULL}),
        ("min_grad", {"optimizer": {"kind": "lbfgs", "min_grad": 1.0}, **FULL}),
        ("min_grad", {"optimizer": {"kind": "levenberg_marquardt", "min_grad": 1.0}, **FULL}),
        ("mu_max", {"optimizer": {"kind": "levenberg_marquardt", "mu": 1.0, "mu_max": 0.5}, **FULL}),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_the_reason_to_end_is_in_the_summary(tmp_path: Path, reason: str, train: dict[str, Any]) -> None:
    summary = trained(tmp_path, **train)
    assert summary["stopped"] == reason
    assert reason in REASONS
    assert summary["epochs"] == (4 if reason == "epochs" else 1)
