"""First weights against the formulas of the papers."""

from __future__ import annotations

from typing import Any, get_args

import pytest
import torch
from pydantic import TypeAdapter

from nnpipe.models.activations import ActivationName
from nnpipe.models.initialisers import ALIASES, AnyInitialiser, Initialiser

FAN_IN, FAN_OUT = 24 * 5 * 5, 40 * 5 * 5  # of the kernels below
VARIANCE: dict[str, float] = {
    "glorot_uniform": 2 / (FAN_IN + FAN_OUT),
    "glorot_normal": 2 / (FAN_IN + FAN_OUT),
    "he_uniform": 2 / FAN_IN,
    "he_normal": 2 / FAN_IN,
    "lecun_uniform": 1 / FAN_IN,
    "lecun_normal": 1 / FAN_IN,
    "orthogonal": 1 / FAN_IN,  # rows of length 1
    "nguyen_widrow": (0.7 * 40 ** (1 / FAN_IN)) ** 2 / FAN_IN,  # rows of that length
    "normal": 0.3**2,
    "uniform": (0.5 - -0.5) ** 2 / 12,
    "zeros": 0.0,
}
OPTIONS: dict[str, dict[str, Any]] = {"normal": {"deviation": 0.3}, "uniform": {"range": (-0.5, 0.5)}}


def initialiser(spec: Any) -> Initialiser:
    found: Initialiser = TypeAdapter(AnyInitialiser).validate_python(spec, strict=True)
    return found


def drawn(name: str, activation: ActivationName = "tanh", bias: torch.Tensor | None = None) -> torch.Tensor:
    weight = torch.empty(40, 24, 5, 5)
    generator = torch.Generator().manual_seed(0)
    initialiser({"kind": name, **OPTIONS.get(name, {})}).draw(weight, bias, generator, activation)
    return weight


def test_every_initialiser_of_the_list_is_in_the_table() -> None:
    members = get_args(get_args(AnyInitialiser)[0])
    words = {word for member in members for word in _words(member)}
    assert words - {"auto", *ALIASES} == set(VARIANCE)


def _words(member: Any) -> tuple[str, ...]:
    annotation = member.model_fields["kind"].annotation
    return tuple(get_args(annotation))


@pytest.mark.parametrize("name", VARIANCE)
def test_weights_have_the_spread_of_their_formula(name: str) -> None:
    weight = drawn(name)
    assert weight.mean().item() == pytest.approx(0, abs=4 * (VARIANCE[name] / weight.numel()) ** 0.5)
    assert weight.var().item() == pytest.approx(VARIANCE[name], rel=0.04)


@pytest.mark.parametrize("name", ["glorot_uniform", "he_uniform", "lecun_uniform", "uniform"])
def test_uniform_weights_end_where_the_formula_says(name: str) -> None:
    limit = (3 * VARIANCE[name]) ** 0.5
    assert 0.999 * limit < drawn(name).abs().max().item() <= limit


@pytest.mark.parametrize("name", ["glorot_normal", "he_normal", "lecun_normal", "normal"])
def test_normal_weights_have_the_tails_of_a_normal_distribution(name: str) -> None:
    outside = (drawn(name).abs() > 2 * VARIANCE[name] ** 0.5).float().mean().item()
    assert outside == pytest.approx(0.0455, abs=0.004)


@pytest.mark.parametrize(("rows", "columns"), [(4, 9), (9, 4), (5, 5)])
def test_orthogonal_rows_or_columns_are_orthonormal(rows: int, columns: int) -> None:
    weight = torch.empty(rows, columns)
    initialiser("orthogonal").draw(weight, None, torch.Generator().manual_seed(0), "linear")
    products = weight @ weight.T if rows <= columns else weight.T @ weight
    torch.testing.assert_close(products, torch.eye(min(rows, columns)))


@pytest.mark.parametrize(("activation", "wider"), [("tanh", 1), ("sigmoid", 2)])
def test_nguyen_widrow_gives_every_unit_one_length_and_spreads_biases_up_to_it(
    activation: ActivationName, wider: float
) -> None:
    weight, bias = torch.empty(3000, 2), torch.empty(3000)
    initialiser("nguyen_widrow").draw(weight, bias, torch.Generator().manual_seed(0), activation)
    length = wider * 0.7 * 3000**0.5
    torch.testing.assert_close(weight.norm(dim=1), torch.full((3000,), length))
    assert bias.abs().max().item() == pytest.approx(length, rel=0.01)
    assert bias.var().item() == pytest.approx(length**2 / 3, rel=0.05)


def test_nguyen_widrow_units_are_steep_all_over_the_range_of_their_inputs() -> None:
    weight, bias = torch.empty(50, 1), torch.empty(50)
    initialiser("nguyen_widrow").draw(weight, bias, torch.Generator().manual_seed(0), "tanh")
    centres = (-bias / weight[:, 0]).sort().values
    assert centres.min().item() < -0.9
    assert centres.max().item() > 0.9
    assert centres.diff().max().item() < 0.3


@pytest.mark.parametrize(
    ("activation", "name"),
    [(each, "glorot_uniform") for each in ("sigmoid", "tanh", "softsign", "linear", "softmax")]
    + [(each, "he_normal") for each in ("relu", "leaky_relu", "elu", "gelu", "softplus")],
)
def test_auto_chooses_by_the_activation(activation: ActivationName, name: str) -> None:
    assert torch.equal(drawn("auto", activation), drawn(name, activation))


def test_every_activation_has_an_automatic_initialiser() -> None:
    assert len(get_args(ActivationName)) == 10, "a new activation belongs into the table above"


@pytest.mark.parametrize(("alias", "name"), ALIASES.items())
def test_an_alias_is_the_canonical_word(alias: str, name: str) -> None:
    assert initialiser(alias) == initialiser({"kind": name})
    assert initialiser(alias).model_dump() == {"kind": name}


@pytest.mark.parametrize("name", sorted(set(VARIANCE) - {"nguyen_widrow"}))
def test_only_nguyen_widrow_draws_biases(name: str) -> None:
    bias = torch.full((40,), 7.0)
    drawn(name, bias=bias)
    assert bias.eq(7).all()
