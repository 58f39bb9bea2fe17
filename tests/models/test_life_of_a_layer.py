"""Every layer, activation and loss from a spec to a network that has learned, was saved, and computes the same."""

from __future__ import annotations

from typing import Any, get_args

import pytest
import torch

from nnpipe.models.activations import ActivationName
from nnpipe.models.architecture import Model
from nnpipe.models.layers.layer import Shape
from nnpipe.models.network import Network, load_network, save_document
from nnpipe.models.scaling import Scaling
from nnpipe.spec import members
from nnpipe.training.classification import Classification
from nnpipe.training.losses import AnyLoss
from nnpipe.training.losses.cross_entropy import CrossEntropy
from nnpipe.training.losses.loss import Loss

from .layer_cases import CASES, name


def with_output(layers: list[dict[str, Any]], activation: str = "softmax") -> Model:
    return Model.model_validate(
        {"layers": [*layers, "flatten", {"kind": "dense", "units": 3, "activation": activation}]}
    )


def network_of(model: Model, shape: Shape) -> Network:
    return Network(model, shape, Scaling(), ["a", "b", "c"], torch.Generator().manual_seed(0))


def live(model: Model, shape: Shape, loss: Loss | None = None) -> None:
    """One step of training that changes something; then the network and what is loaded of it give the same bits."""
    network, draws = network_of(model, shape), torch.Generator().manual_seed(1)
    x, y = torch.randn(6, *shape, generator=draws), torch.arange(6) % 3
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    objective = Classification(network, loss or CrossEntropy())
    first = objective.gradient(x, y)["loss"]
    assert all(p.grad is not None and p.grad.isfinite().all() for p in network.parameters())
    torch.optim.SGD(network.parameters(), lr=0.05).step()
    after = network.state_dict()
    assert any(not torch.equal(before[name], after[name]) for name in before)
    for source in network.generators().values():
        source.manual_seed(0)
    assert first.isfinite()
    arrays = {name: tensor.numpy().copy() for name, tensor in after.items()}
    loaded = load_network(arrays, save_document(network), model)
    assert loaded(x).detach().numpy().tobytes() == network.eval()(x).detach().numpy().tobytes()
    assert model.parameters(shape) in (None, sum(p.numel() for p in network.parameters()))


@pytest.mark.parametrize(("spec", "before", "after", "parameters"), CASES, ids=name)
def test_a_network_with_the_layer_learns_is_saved_and_computes_the_same(
    spec: dict[str, Any], before: Shape, after: Shape, parameters: int | None
) -> None:
    live(with_output([spec]), before)


@pytest.mark.parametrize("activation", get_args(ActivationName))
@pytest.mark.parametrize("kind", ["dense", "activation"])
def test_so_does_one_with_the_activation(kind: str, activation: str) -> None:
    spec = {"kind": kind, "activation": activation, **({"units": 4} if kind == "dense" else {})}
    live(with_output([{"kind": "dense", "units": 5}, spec]), (4,))


@pytest.mark.parametrize("kind", tuple(members(AnyLoss)), ids=lambda kind: kind.__name__)
def test_so_does_one_with_the_loss(kind: type[Loss]) -> None:
    loss = kind.model_validate({})
    live(with_output([{"kind": "batch_norm"}], loss.activations(3, 3)[0]), (4,), loss)


def test_the_last_activation_is_left_out_of_logits_whatever_layer_it_belongs_to() -> None:
    dense = {"kind": "dense", "units": 3}
    whole = Model.model_validate({"layers": [{**dense, "activation": "softmax"}]})
    apart = Model.model_validate({"layers": [dense, {"kind": "activation", "activation": "softmax"}]})
    around = Model.model_validate({"layers": [{"kind": "residual", "layers": [dense], "activation": "softmax"}]})
    x = torch.randn(5, 4, generator=torch.Generator().manual_seed(2))
    for model in (whole, apart, around):
        network = network_of(model, (4,))
        torch.testing.assert_close(network(x), network.logits(x).softmax(1))
        assert not torch.allclose(network(x), network.logits(x))
    assert torch.equal(network_of(whole, (4,)).logits(x), network_of(apart, (4,)).logits(x))


def test_dropout_inside_a_residual_keeps_its_generator_under_its_name() -> None:
    inner = [{"kind": "dropout", "rate": 0.5}, {"kind": "residual", "layers": [{"kind": "dropout", "rate": 0.5}]}]
    network = network_of(Model.model_validate({"layers": ["flatten", {"kind": "residual", "layers": inner}]}), (8,))
    generators = network.generators()
    assert list(generators) == ["layers.1.layers.0", "layers.1.layers.1.layers.0"]
    states = {name: source.get_state() for name, source in generators.items()}
    x = torch.ones(2, 8)
    first = network.train()(x)
    assert not torch.equal(network(x), first)
    for place, state in states.items():
        generators[place].set_state(state)
    assert torch.equal(network(x), first)
    network(x)
    network.place("cpu")
    assert torch.equal(network(x), first)
