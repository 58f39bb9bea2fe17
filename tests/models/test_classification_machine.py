"""The machine that knows classes against all states of its hidden units, from the definition of its energy."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
import torch

from nnpipe.models.architecture import Model
from nnpipe.models.classification_machine import ClassificationMachine
from nnpipe.models.layers.classification_rbm import ClassificationRbm
from nnpipe.models.network import Network
from nnpipe.models.scaling import Scaling

INPUTS, HIDDEN, CLASSES = 4, 5, 3


def machine_of(seed: int = 0) -> ClassificationMachine:
    machine, draws = ClassificationMachine(INPUTS, HIDDEN, CLASSES).double(), torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in machine.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=draws, dtype=torch.float64))
    return machine


def energies(machine: ClassificationMachine, v: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """All hidden states, (states, hidden), and -E(v, y, h) of one v, (classes, states), less what v alone gives."""
    weight, label_weight, bias, label_bias = (p.detach().numpy() for p in machine.parameters())
    h = np.array(list(product((0.0, 1.0), repeat=HIDDEN)))
    return h, np.array([label_bias[y] + h @ bias + h @ (weight @ v) + h @ label_weight[:, y] for y in range(CLASSES)])


def inputs(rows: int = 6) -> torch.Tensor:
    return torch.rand(rows, INPUTS, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


def test_outputs_are_negative_free_energies_by_enumeration() -> None:
    machine, v = machine_of(), inputs()
    expected = [np.log(np.exp(energies(machine, row.numpy())[1]).sum(1)) for row in v]
    np.testing.assert_allclose(machine(v).detach(), expected, rtol=1e-12)
    with torch.no_grad():  # another way to the same numbers
        np.testing.assert_allclose(machine(v), expected, rtol=1e-12)


def test_conditionals_are_those_of_the_enumerated_distribution() -> None:
    machine, v = machine_of(2), inputs(1)
    h, negative = energies(machine, v[0].numpy())
    for label in range(CLASSES):
        p = np.exp(negative[label]) / np.exp(negative[label]).sum()
        onehot = torch.eye(CLASSES, dtype=torch.float64)[[label]]
        np.testing.assert_allclose(machine.hidden_probabilities(v, onehot)[0].detach(), p @ h, rtol=1e-12)
    state = 11
    p = np.exp(negative[:, state]) / np.exp(negative[:, state]).sum()
    found = machine.label_probabilities(torch.from_numpy(h[[state]]))
    np.testing.assert_allclose(found[0].detach(), p, rtol=1e-12)
    visible_bias = torch.tensor([0.5, -1.0, 0.0, 2.0], dtype=torch.float64)
    summed = visible_bias.numpy() + h[state] @ machine.weight.detach().numpy()
    found = machine.visible_probabilities(torch.from_numpy(h[[state]]), visible_bias)
    np.testing.assert_allclose(found[0].detach(), 1 / (1 + np.exp(-summed)), rtol=1e-12)


def test_weights_that_are_zero_have_a_gradient() -> None:
    machine = ClassificationMachine(INPUTS, HIDDEN, CLASSES)
    torch.nn.functional.cross_entropy(machine(torch.ones(1, INPUTS)), torch.tensor([1])).backward()
    assert machine.label_weight.grad is not None
    expected = 0.5 * (torch.full((CLASSES,), 1 / 3) - torch.tensor([0.0, 1.0, 0.0]))
    torch.testing.assert_close(machine.label_weight.grad, expected.expand(HIDDEN, CLASSES))


def test_a_network_of_one_reads_images_as_vectors_and_ends_in_probabilities() -> None:
    model = Model(layers=(ClassificationRbm(hidden=6, classes=3),))
    network = Network(model, (1, 2, 5), Scaling(), ["a", "b", "c"], torch.Generator().manual_seed(0))
    found = network(torch.rand(4, 1, 2, 5, generator=torch.Generator().manual_seed(0)))
    torch.testing.assert_close(found.sum(1), torch.ones(4))
    assert model.parameters((1, 2, 5)) == sum(p.numel() for p in network.parameters()) == 6 * (10 + 3 + 1) + 3


def test_first_weights_are_of_one_spread_for_inputs_and_labels() -> None:
    layer = ClassificationRbm(hidden=400, classes=10, init={"kind": "normal", "deviation": 0.1}, bias=-2)
    machine = layer.build((30,), torch.Generator().manual_seed(0))
    assert machine.weight.std().item() == pytest.approx(0.1, rel=0.05)
    assert machine.label_weight.std().item() == pytest.approx(0.1, rel=0.05)
    assert set(machine.bias.tolist()) == {-2.0}
    assert set(machine.label_bias.tolist()) == {0.0}
