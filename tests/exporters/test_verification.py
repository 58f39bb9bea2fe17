"""A file is judged beside its network, by its outputs or by its accuracy; files are played by what they compute."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
import pytest
import torch

from nnpipe.errors import StageError
from nnpipe.exporters.exporter import Context, Exporter, computed_by
from nnpipe.exporters.verification import Verification, Verifier, largest_difference
from nnpipe.models.architecture import Model
from nnpipe.models.network import Network
from nnpipe.models.scaling import Scaling

if TYPE_CHECKING:
    from nnpipe.exporters.exporter import Run

EXAMPLES = 600
Change = Callable[[np.ndarray], np.ndarray]


class Played(Exporter):
    """A format whose file computes what its network computes, and then ``change`` of it."""

    kind: Literal["played"] = "played"
    filename: ClassVar[str] = "played"
    loading: ClassVar[str] = "nothing"
    network: Any
    change: Any = None

    def write(self, network: Network, path: Path, context: Context) -> None:
        raise AssertionError("there is no file")

    def about(self, path: Path) -> dict[str, object]:
        raise AssertionError("nobody asks")

    def load(self, path: Path, architecture: Model | None = None) -> Run | None:
        run = computed_by(self.network)
        return (lambda x: self.change(run(x))) if self.change else None


class Quantised(Played):
    """The same in a format that is not exact."""

    exact: ClassVar[bool] = False

    def allowed_loss(self) -> float:
        return 0.05


def network(units: int = 3, activation: str = "softmax", classes: Sequence[str] = "abc") -> Network:
    layers = [{"kind": "dense", "units": units, "activation": activation}]
    draws = torch.Generator().manual_seed(0)
    targets = [] if classes else [f"t{unit}" for unit in range(units)]
    return Network(Model.model_validate({"layers": layers}), (4,), Scaling(), classes, draws, targets).eval()


def examples() -> np.ndarray:
    return np.random.default_rng(0).standard_normal((EXAMPLES, 4), dtype=np.float32)


def said(of: Network) -> np.ndarray:
    with torch.inference_mode():
        return np.asarray(of.predict(torch.from_numpy(examples()))[1].numpy())


def verify(exporter: Played, labels: np.ndarray | None = None) -> Verification:
    return Verifier(exporter.network, examples(), labels).verify(exporter, Path("played"))


def wrong(count: int) -> Change:
    """Another class for the first ``count`` examples of a batch of 250."""

    def change(outputs: np.ndarray) -> np.ndarray:
        made = outputs.copy()
        if len(made) == 250:
            made[:count] = np.roll(made[:count], 1, axis=1)
        return made

    return change


def test_batches_of_one_three_and_sixty_four_come_first_and_every_example_once() -> None:
    sizes: list[int] = []
    seen: list[np.ndarray] = []

    def note(outputs: np.ndarray) -> np.ndarray:
        sizes.append(len(outputs))
        seen.append(outputs)
        return outputs

    one = network()
    assert verify(Played(network=one, change=note)).examples == EXAMPLES
    assert sizes == [1, 3, 64, 250, 250, 32]
    with torch.inference_mode():
        np.testing.assert_allclose(np.concatenate(seen), one(torch.from_numpy(examples())), atol=1e-6)


def test_the_same_outputs_are_verified_with_the_accuracy_of_both() -> None:
    one = network()
    labels = said(one)
    labels[:150] = (labels[:150] + 1) % 3
    found = verify(Played(network=one, change=lambda outputs: outputs), labels)
    assert found == Verification(True, EXAMPLES, 1e-6, 1.0, 0.75, 0.75)
    assert found.told() == (
        "verified on 600 test examples: outputs differ from the network's by at most 1e-06, accuracy 0.7500 "
        "(the network's: the same), same class for 100.00%"
    )


@pytest.mark.parametrize(
    ("units", "activation", "classes"), [(1, "sigmoid", "ab"), (1, "linear", "ab"), (2, "linear", "ab")]
)
def test_classes_are_those_of_the_network_for_one_unit_and_for_margins(
    units: int, activation: str, classes: str
) -> None:
    one = network(units, activation, classes)
    labels = said(one)
    assert set(labels) == {0, 1}
    assert verify(Played(network=one, change=lambda outputs: outputs), labels).accuracy == 1


@pytest.mark.parametrize(
    "change",
    [
        lambda outputs: outputs + np.float32(1e-3),
        lambda outputs: outputs * np.float32("nan"),
        lambda outputs: outputs[:, :2],
        lambda outputs: outputs if len(outputs) < 250 else outputs + np.float32(1e-3),
    ],
)
def test_an_exact_format_whose_outputs_differ_is_refused(change: Change) -> None:
    with pytest.raises(StageError, match="the played file does not compute what the network computes"):
        verify(Played(network=network(), change=change))


def test_the_difference_is_relative_to_outputs_above_one_and_nan_and_other_shapes_never_pass() -> None:
    assert largest_difference([np.array([[200.0], [0.5]])], [np.array([[201.0], [0.25]])]) == 0.25
    assert largest_difference([np.array([[200.0], [0.5]])], [np.array([[202.0], [0.5]])]) == 0.01
    assert np.isnan(largest_difference([np.ones((1, 1))] * 2, [np.full((1, 1), np.nan), np.ones((1, 1))]))
    assert largest_difference([np.ones((2, 1))], [np.ones((2, 2))]) == np.inf


def test_a_format_that_is_not_exact_is_judged_by_the_accuracy_that_it_loses() -> None:
    one = network()
    labels = said(one)
    # Two batches of 250: 15 of each are 30 of 600, which is exactly what may be lost.
    found = verify(Quantised(network=one, change=wrong(15)), labels)
    assert (found.verified, found.accuracy, found.accuracy_of_network) == (True, 0.95, 1.0)
    assert found.same_classes == 0.95
    assert found.largest_difference == 1.0
    with pytest.raises(StageError, match="the played file loses more accuracy than it may") as caught:
        verify(Quantised(network=one, change=wrong(16)), labels)
    assert caught.value.expected == "at least 570 of 600 test examples right"
    assert caught.value.found == "568 right; the network itself has 600"


def test_a_file_that_is_right_more_often_than_its_network_loses_nothing() -> None:
    one = network()
    labels = said(one)
    labels[68:118] = np.roll(np.eye(3)[labels[68:118]], 1, axis=1).argmax(1)
    first = iter([50, 0])

    def change(outputs: np.ndarray) -> np.ndarray:
        return wrong(next(first))(outputs) if len(outputs) == 250 else outputs

    found = verify(Quantised(network=one, change=change), labels)
    assert found.verified
    assert found.accuracy is not None
    assert found.accuracy_of_network is not None
    assert found.accuracy > found.accuracy_of_network


@pytest.mark.parametrize("change", [lambda outputs: outputs * np.float32("inf"), lambda outputs: outputs[:, :1]])
def test_a_format_that_is_not_exact_still_gives_finite_outputs_of_the_same_shape(change: Change) -> None:
    one = network()
    with pytest.raises(StageError, match="does not compute what the network computes") as caught:
        verify(Quantised(network=one, change=change), said(one))
    assert caught.value.expected == "finite outputs"


def test_not_exact_and_without_classes_a_file_is_run_and_not_verified() -> None:
    numbers = network(activation="linear", classes=())
    found = verify(Quantised(network=numbers, change=lambda outputs: outputs + np.float32(0.03)))
    assert found == Verification(False, EXAMPLES, 0.1)
    assert found.told().startswith("run, not verified, on 600 test examples: outputs differ")


def test_what_nothing_here_runs_is_not_verified() -> None:
    found = verify(Played(network=network()), np.zeros(EXAMPLES, np.int64))
    assert found == Verification()
    assert found.told() == "not verified"
