"""Schedules give what torch's schedulers of the same name give, and depend on the time alone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from pydantic import ValidationError
from torch.optim import lr_scheduler

from nnpipe.spec import members
from nnpipe.training.optimizers.adam import Adam
from nnpipe.training.optimizers.adamw import AdamW
from nnpipe.training.optimizers.conjugate_gradient import ConjugateGradient
from nnpipe.training.optimizers.lbfgs import Lbfgs
from nnpipe.training.optimizers.muon import Muon
from nnpipe.training.optimizers.rmsprop import RmsProp
from nnpipe.training.optimizers.scaled_conjugate_gradient import ScaledConjugateGradient
from nnpipe.training.optimizers.sgd import Sgd
from nnpipe.training.regime import Regime, Scheduled
from nnpipe.training.schedules import AnySchedule
from nnpipe.training.schedules.constant import Constant
from nnpipe.training.schedules.cosine import Cosine
from nnpipe.training.schedules.exponential import Exponential
from nnpipe.training.schedules.linear import Linear
from nnpipe.training.schedules.one_cycle import OneCycle
from nnpipe.training.schedules.piecewise import Piecewise
from nnpipe.training.schedules.schedule import Schedule
from nnpipe.training.schedules.step import Step
from nnpipe.training.train import Train

BASE, EPOCHS, BATCHES = 0.4, 10, 5

TorchScheduler = Callable[[Any], Any]
# Whether torch's scheduler is asked after each batch or after each epoch.
CASES: list[tuple[Schedule, str, TorchScheduler]] = [
    (Constant(), "epoch", lambda o: lr_scheduler.ConstantLR(o, factor=1.0)),
    (Step(every=3, factor=0.2), "epoch", lambda o: lr_scheduler.StepLR(o, 3, 0.2)),
    (Exponential(decay=0.7), "epoch", lambda o: lr_scheduler.ExponentialLR(o, 0.7)),
    (Exponential(decay=0.7, by="step"), "step", lambda o: lr_scheduler.ExponentialLR(o, 0.7 ** (1 / BATCHES))),
    (Cosine(final=0.1), "step", lambda o: lr_scheduler.CosineAnnealingLR(o, EPOCHS * BATCHES, 0.1 * BASE)),
    (Cosine(by="epoch"), "epoch", lambda o: lr_scheduler.CosineAnnealingLR(o, EPOCHS)),
    (Linear(final=0.2), "step", lambda o: lr_scheduler.LinearLR(o, 1.0, 0.2, EPOCHS * BATCHES)),
    (
        OneCycle(start=0.04, peak=0.3, final=4e-6),
        "step",
        # torch counts from the first step to the last, one less than there are.
        lambda o: lr_scheduler.OneCycleLR(o, BASE, total_steps=EPOCHS * BATCHES + 1, pct_start=(0.3 * 50 + 1) / 51),
    ),
    (
        Constant(warmup=2, by="step"),
        "step",
        lambda o: lr_scheduler.LinearLR(o, 1 / (2 * BATCHES), 1.0, 2 * BATCHES - 1),
    ),
]


def ours(schedule: Schedule) -> list[float]:
    return [schedule.value(BASE, n / BATCHES, 1 / BATCHES, EPOCHS) for n in range(EPOCHS * BATCHES)]


@pytest.mark.parametrize(("schedule", "by", "scheduler"), CASES, ids=lambda case: getattr(case, "kind", None))
def test_a_schedule_is_that_of_torch(schedule: Schedule, by: str, scheduler: TorchScheduler) -> None:
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=BASE)
    theirs, asked = [], scheduler(optimizer)
    for number in range(EPOCHS * BATCHES):
        theirs.append(float(optimizer.param_groups[0]["lr"]))
        optimizer.step()
        if by == "step" or (number + 1) % BATCHES == 0:
            asked.step()
    assert ours(schedule) == pytest.approx(theirs, rel=1e-6, abs=1e-8)


def test_every_schedule_is_compared() -> None:
    assert {type(case[0]) for case in CASES} | {Piecewise} == set(members(AnySchedule))


def test_a_value_said_at_some_times_stays_or_goes_in_lines() -> None:
    points = ((0.0, 0.5), (5.0, 0.9))
    assert [Piecewise(points=points).value(0.0, time, 0.1, 10) for time in (0, 4, 5, 9)] == [0.5, 0.5, 0.9, 0.9]
    lines = Piecewise(points=points, between="linear")
    assert [lines.value(0.0, time, 0.1, 10) for time in (0, 2, 5, 9)] == pytest.approx([0.5, 0.66, 0.9, 0.9])


def test_what_follows_a_warm_up_has_the_rest_of_the_time() -> None:
    schedule = Linear(warmup=2)
    values = [schedule.value(1.0, time, 0.5, 10) for time in (0, 1.5, 2, 6, 10)]
    assert values == pytest.approx([0.25, 1, 1, 0.5, 0])


@pytest.mark.parametrize(
    ("optimizer", "read"),
    [
        (Sgd(momentum=0.5), lambda group: group["momentum"]),
        (RmsProp(momentum=0.5), lambda group: group["momentum"]),
        (Adam(), lambda group: group["betas"][0]),
        (AdamW(), lambda group: group["betas"][0]),
        (Muon(), lambda group: group["momentum"]),
    ],
    ids=lambda case: getattr(case, "kind", None),
)
def test_momentum_is_scheduled_wherever_it_is_kept(optimizer: Any, read: Callable[[Any], float]) -> None:
    built = optimizer.build([torch.nn.Parameter(torch.zeros(1, 1)) for _ in range(3)])
    scheduled = Scheduled(built, Regime(10, momentum=Piecewise(points=((0, 0.5), (5, 0.9)))))
    found = []
    for time in (0, 5):
        scheduled.set(time, 1)
        found.append(read(built.param_groups[0]))
    assert found == [0.5, 0.9]


def test_several_learning_rates_keep_their_ratio_and_only_muon_has_a_momentum() -> None:
    muon = Muon(learning_rate=0.02, adamw=AdamW(learning_rate=0.001, betas=(0.8, 0.99)))
    built = muon.build([torch.nn.Parameter(torch.zeros(2, 2)) for _ in range(3)])
    schedule = Piecewise(points=((0, 0.5),))
    Scheduled(built, Regime(10, learning_rate=schedule, momentum=schedule)).set(0, 1)
    hidden, others = built.param_groups
    assert (hidden["lr"], hidden["momentum"]) == (0.5, 0.5)
    assert (others["lr"], others["betas"]) == (pytest.approx(0.025), (0.8, 0.99))


@pytest.mark.parametrize(
    ("train", "message"),
    [
        ({"optimizer": ConjugateGradient(), "schedule": {"kind": "cosine"}}, "conjugate_gradient has no learning rate"),
        ({"optimizer": ConjugateGradient(), "momentum_schedule": "linear"}, "conjugate_gradient has no momentum"),
        ({"optimizer": ScaledConjugateGradient(), "schedule": "cosine"}, "gradient has no learning rate"),
        ({"optimizer": Lbfgs(), "schedule": "cosine"}, "lbfgs has no learning rate"),
        ({"optimizer": Lbfgs(), "momentum_schedule": "linear"}, "lbfgs has no momentum"),
        ({"optimizer": RmsProp(), "momentum_schedule": "linear"}, "rmsprop without momentum"),
        ({"schedule": {"kind": "piecewise", "points": [[5, 1], [0, 2]]}}, "times that do not grow"),
        ({"schedule": {"kind": "piecewise", "points": []}}, "at least 1 item"),
    ],
)
def test_a_schedule_of_nothing_is_refused(train: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        Train.model_validate(train)
