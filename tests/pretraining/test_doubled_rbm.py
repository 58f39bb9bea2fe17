"""A machine at an end of a deep Boltzmann machine learns at the rate of one without copies."""

from __future__ import annotations

import pytest
import torch

from nnpipe.models.layers.dense import Dense
from nnpipe.pretraining.boltzmann_machine import BoltzmannMachine
from nnpipe.pretraining.contrastive_divergence import ContrastiveDivergence
from nnpipe.pretraining.doubled_rbm import DoubledRbm
from nnpipe.pretraining.objective import Visible
from nnpipe.pretraining.rbm import Rbm
from nnpipe.pretraining.units.doubled import DoubledHidden

LAYER = Dense(units=5, activation="sigmoid")
SEEN = Visible((12,), torch.full((12,), 0.5), torch.full((12,), 0.5), count=8)


def data() -> torch.Tensor:
    return torch.randint(2, (8, 12), generator=torch.Generator().manual_seed(0)).float()


def test_of_two_hidden_copies_each_weight_learns_from_one() -> None:
    found = DoubledRbm(doubled="hidden", rbm=Rbm(weight_decay=0)).objective(LAYER, None, SEEN, 0)
    both = ContrastiveDivergence(BoltzmannMachine(12, 5, None, DoubledHidden()), SEEN, 0)
    for objective in (found, both):
        objective.gradient(data(), None)
    grads = {name: parameter.grad for name, parameter in both.module.named_parameters()}
    for name, parameter in found.module.named_parameters():
        expected = grads[name]
        assert expected is not None
        torch.testing.assert_close(parameter.grad, expected if name == "visible_bias" else expected / 2)


def test_of_two_visible_copies_one_weight_learns_at_the_rate_of_a_machine_without() -> None:
    """Where hidden units are sure, the first step moves half of ``weight``, one copy's, as a plain machine's."""
    method = Rbm(weight_decay=0)
    found, plain = DoubledRbm(rbm=method).objective(LAYER, None, SEEN, 0), method.objective(LAYER, None, SEEN, 0)
    for objective, copies in ((found, 2), (plain, 1)):
        with torch.no_grad():
            objective.module.get_parameter("bias").fill_(100)
            objective.module.get_parameter("weight").fill_(0.3 * copies)
        objective.gradient(data(), None)
    one, other = (objective.module.get_parameter("weight").grad for objective in (found, plain))
    assert one is not None
    torch.testing.assert_close(one / 2, other)


@pytest.mark.parametrize("doubled", ["visible", "hidden"])
def test_measures_are_those_of_a_machine(doubled: str) -> None:
    objective = DoubledRbm.model_validate({"doubled": doubled}).objective(LAYER, None, SEEN, 0)
    x = data()
    h = objective.represent(x)
    weight, bias = (objective.module.get_parameter(name) for name in ("weight", "visible_bias"))
    back = torch.sigmoid(bias + h @ weight * (0.5 if doubled == "visible" else 2))
    error = objective.measure(x, None)["reconstruction_error"]
    torch.testing.assert_close(error, (back - x).square().sum())
