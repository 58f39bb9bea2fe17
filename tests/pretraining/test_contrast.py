"""The gradient by weights, against NumPy in float64."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from nnpipe.pretraining.contrast import Pairs, contrast
from nnpipe.training.precision import Precision


def pairs(rows: int, seed: int) -> Pairs:
    draw = torch.Generator().manual_seed(seed)
    return Pairs(torch.rand(rows, 30, generator=draw), torch.rand(rows, 20, generator=draw))


@pytest.mark.parametrize(("precision", "tolerance"), [("float32", 1e-6), ("bfloat16", 2e-3)])
@pytest.mark.parametrize("chains", [50, 7])
def test_it_is_what_the_model_makes_of_itself_less_what_it_makes_of_the_data(
    precision: Precision, tolerance: float, chains: int
) -> None:
    weight = torch.randn(20, 30, generator=torch.Generator().manual_seed(2))
    data, model = pairs(50, 0), pairs(chains, 1)
    found = contrast(weight, data, model, 0.01, precision)
    assert found.dtype == torch.float32
    mean_products = [np.einsum("nh,nv->hv", each.h.double(), each.v.double()) / len(each.v) for each in (model, data)]
    expected = mean_products[0] - mean_products[1] + 0.01 * weight.double().numpy()
    np.testing.assert_allclose(found.numpy(), expected, atol=tolerance)


def test_of_large_products_in_bfloat16_the_small_difference_is_kept() -> None:
    data = pairs(50, 0)
    model = Pairs(data.v, data.h * 1.01)
    found = contrast(torch.zeros(20, 30), data, model, 0, "bfloat16").mean()
    # Products of about 0.25 are rounded to 0.001 in bfloat16; their difference here is 0.0025.
    assert float(found) == pytest.approx(0.01 * float((data.h.T @ data.v / 50).mean()), rel=0.3)
