"""The training loop: what it computes, what it tells, and that only its seed moves it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from nnpipe.errors import StageError
from nnpipe.models.architecture import Model
from nnpipe.models.network import Network
from nnpipe.models.scaling import Scaling
from nnpipe.training.classification import Classification
from nnpipe.training.early_stopping import EarlyStopping
from nnpipe.training.examples import Examples
from nnpipe.training.history import History
from nnpipe.training.loop import fit
from nnpipe.training.losses.cross_entropy import CrossEntropy
from nnpipe.training.losses.mean_squared_error import MeanSquaredError
from nnpipe.training.optimizers.adam import Adam
from nnpipe.training.optimizers.sgd import Sgd
from nnpipe.training.regime import Regime
from nnpipe.training.schedules.step import Step

LAYERS = [
    {"kind": "dense", "units": 8, "activation": "relu"},
    {"kind": "dropout", "rate": 0.2},
    {"kind": "dense", "units": 3, "activation": "softmax"},
]


def bits(module: torch.nn.Module) -> bytes:
    return b"".join(tensor.numpy().tobytes() for tensor in module.state_dict().values())


@pytest.fixture
def train(network: Any, blobs: Any, watch: Any) -> Any:
    def run(seed: int = 0, **options: Any) -> tuple[Any, History, Any]:
        made, seen = network(options.pop("layers", LAYERS), (2,)), options.pop("watch", watch())
        optimizer = options.pop("optimizer", Sgd(learning_rate=0.1, momentum=0.9)).build(made.parameters())
        precision = options.pop("precision", "float32")
        regime = Regime(**{"epochs": 3, "batch_size": 20, **options})
        objective = Classification(made, CrossEntropy(), precision)
        return made, fit(objective, optimizer, blobs(), blobs(seed=1), regime, seed=seed, watch=seen), seen

    return run


def test_the_same_seed_gives_the_same_bits_whatever_the_global_generator_is(train: Any) -> None:
    torch.manual_seed(1)
    first = train()
    torch.manual_seed(2)
    second = train()
    assert bits(first[0]) == bits(second[0])
    assert first[1].without_times() == second[1].without_times()


def test_another_seed_gives_other_bits(train: Any) -> None:
    assert bits(train(seed=0)[0]) != bits(train(seed=1)[0])


def test_a_loop_does_what_a_plain_torch_loop_does(train: Any, network: Any, blobs: Any) -> None:
    layers = [LAYERS[0], LAYERS[2]]
    trained, history, _ = train(layers=layers, batch_size="full", optimizer=Sgd(learning_rate=0.1))
    plain, data, held_out = network(layers, (2,)), blobs(), blobs(seed=1)
    losses = []
    for _ in range(3):
        loss = torch.nn.functional.nll_loss(plain(data.x).log(), data.y)
        gradients = torch.autograd.grad(loss, list(plain.parameters()))
        with torch.no_grad():
            for parameter, gradient in zip(plain.parameters(), gradients, strict=True):
                parameter -= 0.1 * gradient
        losses.append(loss.item())
    for a, b in zip(trained.parameters(), plain.parameters(), strict=True):
        torch.testing.assert_close(a, b)
    assert [record["loss"] for record in history.records] == pytest.approx(losses, rel=1e-5)
    accuracy = (plain(held_out.x).argmax(1) == held_out.y).float().mean().item()
    assert history.records[-1]["val_accuracy"] == pytest.approx(accuracy)


def test_it_learns(train: Any) -> None:
    _, history, _ = train(epochs=15, layers=[LAYERS[0], LAYERS[2]], optimizer=Adam(learning_rate=0.02))
    assert history.records[-1]["val_accuracy"] > 0.95
    assert history.records[-1]["loss"] < history.records[0]["loss"] / 2


def test_it_learns_in_bfloat16(train: Any) -> None:
    made, history, _ = train(epochs=15, layers=[LAYERS[0], LAYERS[2]], precision="bfloat16")
    assert history.records[-1]["val_accuracy"] > 0.95
    assert all(parameter.dtype == torch.float32 for parameter in made.parameters())
    assert bits(made) != bits(train(epochs=15, layers=[LAYERS[0], LAYERS[2]])[0])


def test_every_example_is_seen_once_an_epoch_in_another_order(network: Any, blobs: Any, watch: Any) -> None:
    made, data, seen = network(LAYERS, (2,)), blobs(50), []

    class Recording(Classification):
        def gradient(self, x: torch.Tensor, y: torch.Tensor | None) -> dict[str, torch.Tensor]:
            seen.append(x.clone())
            return super().gradient(x, y)

    optimizer = Sgd(learning_rate=0.01).build(made.parameters())
    fit(Recording(made, CrossEntropy()), optimizer, data, None, Regime(2, 20), seed=0, watch=watch())
    assert [len(x) for x in seen] == [20, 20, 10] * 2
    epochs = [torch.cat(seen[:3]), torch.cat(seen[3:])]
    assert not torch.equal(*epochs)
    for epoch in epochs:
        assert sorted(epoch.tolist()) == sorted(data.x.tolist())


def test_records_tell_what_a_report_needs(train: Any) -> None:
    _, history, watch = train()
    assert watch.records == history.records
    assert [record["epoch"] for record in history.records] == [1, 2, 3]
    names = {"epoch", "loss", "accuracy", "val_loss", "val_accuracy", "learning_rate"}
    assert set(history.records[0]) == names | {"seconds", "examples"}
    assert set(history.without_times()[0]) == names
    assert (history.stopped, history.kept_epoch) == ("epochs", 3)
    assert all(record["seconds"] > 0 and record["examples"] == 90 for record in history.records)


def test_a_schedule_sets_the_learning_rate_of_every_epoch(train: Any) -> None:
    _, history, _ = train(learning_rate=Step(every=1, factor=0.5))
    assert [record["learning_rate"] for record in history.records] == [0.1, 0.05, 0.025]


def test_progress_is_told_while_an_epoch_goes_on(train: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nnpipe.training.loop.REPORT_SECONDS", 0)
    _, _, watch = train(epochs=1)
    assert watch.progress == [(20, 90), (40, 90), (60, 90), (80, 90), (90, 90)]


def test_diverged_training_says_so_and_what_to_do(train: Any, watch: Any) -> None:
    eager = watch(due=True)
    with pytest.raises(StageError, match="epoch 1") as caught:
        train(optimizer=Sgd(learning_rate=1e30), watch=eager)
    assert caught.value.hint == "lower the learning rate"
    assert all("nan" not in text.lower() for _, text in eager.states)


def test_early_stopping_keeps_the_weights_of_the_best_epoch(train: Any) -> None:
    options = {"layers": [LAYERS[0], LAYERS[2]], "optimizer": Sgd(learning_rate=1.0, momentum=0.9), "batch_size": 10}
    stopped, history, _ = train(epochs=200, early_stopping=EarlyStopping(patience=3), **options)
    losses = [record["val_loss"] for record in history.records]
    best = losses.index(min(losses)) + 1
    assert history.stopped == "patience"
    assert history.kept_epoch == best == len(losses) - 3
    assert bits(stopped) == bits(train(epochs=best, **options)[0])


def test_early_stopping_that_never_stopped_still_keeps_the_best(train: Any) -> None:
    options = {"layers": [LAYERS[0], LAYERS[2]], "optimizer": Sgd(learning_rate=1.0, momentum=0.9), "batch_size": 10}
    monitor = EarlyStopping(patience=50, monitor="val_accuracy")
    kept, history, _ = train(epochs=8, early_stopping=monitor, **options)
    accuracies = [record["val_accuracy"] for record in history.records]
    assert history.stopped == "epochs"
    assert history.kept_epoch == accuracies.index(max(accuracies)) + 1
    assert bits(kept) == bits(train(epochs=history.kept_epoch, **options)[0])


@pytest.mark.parametrize("seed", [0, 1])
def test_the_lectures_first_network_learns_two_classes_that_no_line_divides(watch: Any, seed: int) -> None:
    rng = np.random.default_rng(seed)
    y = rng.integers(0, 2, 1000)
    centres = np.where(y == 1, 0, rng.choice([-1, 1], 1000))[:, None] * np.array([3.2, 2.4])
    x = torch.from_numpy((centres + 0.8 * rng.normal(size=(1000, 2))).astype(np.float32))
    layers = [{"kind": "dense", "units": units, "activation": "sigmoid"} for units in (100, 100, 1)]
    model = Model.model_validate({"layers": layers})
    network = Network(model, (2,), Scaling(), ["a", "b"], torch.Generator().manual_seed(seed))
    splits = [Examples(x[rows], torch.from_numpy(y)[rows]) for rows in (slice(0, 800), slice(800, 1000))]
    optimizer = Sgd(learning_rate=0.5).build(network.parameters())
    objective = Classification(network, MeanSquaredError())
    history = fit(objective, optimizer, *splits, Regime(20, 16), seed=seed, watch=watch())
    assert history.records[-1]["val_accuracy"] > 0.95
    assert history.records[-1]["val_loss"] < 0.05
