"""An autoencoder's answers are its inputs."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from nnpipe.models.architecture import Model
from nnpipe.models.network import Network
from nnpipe.models.scaling import Scaling
from nnpipe.training.losses.binary_cross_entropy import BinaryCrossEntropy
from nnpipe.training.losses.loss import Loss
from nnpipe.training.losses.mean_squared_error import MeanSquaredError
from nnpipe.training.reconstruction import Reconstruction


def objective(loss: Loss) -> Reconstruction:
    model = Model.model_validate({"layers": [{"kind": "dense", "units": 3, "activation": "tanh"}], "unroll": True})
    draws = torch.Generator().manual_seed(0)
    return Reconstruction(Network(model.unrolled((1, 2, 3)), (1, 2, 3), Scaling(), (), draws, code=0), loss)


@pytest.fixture
def x() -> torch.Tensor:
    return torch.rand(5, 1, 2, 3, generator=torch.Generator().manual_seed(1))


def test_the_loss_is_torchs_of_outputs_and_inputs_and_labels_change_nothing(x: torch.Tensor) -> None:
    fitted = objective(BinaryCrossEntropy())
    labels = torch.arange(5)
    found = fitted.gradient(x, labels)
    gradients = [parameter.grad.clone() for parameter in fitted.module.parameters() if parameter.grad is not None]
    fitted.module.zero_grad()
    F.binary_cross_entropy(fitted.module(x), x.flatten(1)).backward()
    for mine, theirs in zip(gradients, fitted.module.parameters(), strict=True):
        torch.testing.assert_close(mine, theirs.grad)
    assert fitted.measure(x, None) == fitted.measure(x, labels)
    torch.testing.assert_close(found, fitted.measure(x, None))


def test_the_squared_error_is_summed_over_the_values_of_an_example(x: torch.Tensor) -> None:
    found = objective(MeanSquaredError()).measure(x, None)
    assert float(found["squared_error"]) == pytest.approx(6 * float(found["loss"]))


def test_residuals_are_those_of_the_loss(x: torch.Tensor) -> None:
    fitted = objective(MeanSquaredError())
    residuals = fitted.residuals(dict(fitted.module.named_parameters()), x, None)
    assert residuals.shape == (5, 6)
    assert float(residuals.detach().square().mean(1).sum()) == pytest.approx(float(fitted.measure(x, None)["loss"]))
