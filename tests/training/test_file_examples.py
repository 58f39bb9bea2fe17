"""Examples that stay in their file: the same bits, read ahead, in bounded memory."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from nnpipe.errors import CorruptionError, Interrupted
from nnpipe.models.layers.dense import Dense
from nnpipe.models.scaling import Scaling
from nnpipe.pretraining.objective import SOME, Visible
from nnpipe.pretraining.rbm import Rbm
from nnpipe.training.augmentation.flip import Flip
from nnpipe.training.augmentation.shift import Shift
from nnpipe.training.classification import Classification
from nnpipe.training.examples import Examples
from nnpipe.training.file_examples import FileExamples, read_ahead
from nnpipe.training.loop import fit
from nnpipe.training.losses.cross_entropy import CrossEntropy
from nnpipe.training.optimizers.sgd import Sgd
from nnpipe.training.regime import Regime
from nnpipe.training.shuffles.blocks import Blocks
from nnpipe.training.shuffles.full import Full
from nnpipe.training.shuffles.shuffle import Shuffle

LAYERS = [
    {"kind": "conv2d", "filters": 3, "kernel": 3, "activation": "relu"},
    "flatten",
    {"kind": "dropout", "rate": 0.3},
    {"kind": "dense", "units": 3, "activation": "softmax"},
]
SCALING = Scaling(offset=2, scale=3)


class Stored:
    """An array as if it lay in a file: what is asked for is noted, and gone when nobody has it any more."""

    def __init__(self, values: np.ndarray) -> None:
        self.values, self.shape, self.dtype = values, values.shape, values.dtype
        self.asked: list[int] = []
        self.held = self.most = 0

    def take(self, rows: np.ndarray) -> np.ndarray:
        self.asked.append(len(rows))
        found = self.values[rows]
        self._count(found.nbytes)
        weakref.finalize(found, self._count, -found.nbytes)
        return found

    def _count(self, size: int) -> None:
        self.held += size
        self.most = max(self.most, self.held)


def digits(dtype: Any = np.uint8, n: int = 62, seed: int = 0) -> tuple[np.ndarray, torch.Tensor]:
    draws = np.random.default_rng(seed)
    return draws.integers(0, 5, (n, 2, 6, 6)).astype(dtype), torch.from_numpy(draws.integers(0, 3, n))


def in_memory(dtype: Any = np.uint8, **options: Any) -> Examples:
    x, y = digits(dtype, **options)
    return Examples(torch.from_numpy(x), y, SCALING)


def in_file(dtype: Any = np.uint8, memory: int = 3000, **options: Any) -> FileExamples:
    x, y = digits(dtype, **options)
    return FileExamples(Stored(x), y, SCALING, "cpu", memory)


def same(one: Iterator[Any], other: Iterator[Any]) -> int:
    """How many batches there are; they are equal to the bit."""
    count = 0
    for (x, y), (other_x, other_y) in zip(one, other, strict=True):
        assert x.dtype == other_x.dtype == torch.float32
        assert x.numpy().tobytes() == other_x.numpy().tobytes()
        assert x.data_ptr() % 64 == other_x.data_ptr() % 64  # kernels may add up in another order otherwise
        assert torch.equal(y, other_y)
        count += 1
    return count


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.float32])
@pytest.mark.parametrize("memory", [0, 3000, 10**9])
def test_what_is_taken_has_the_same_bits_as_from_memory(dtype: Any, memory: int) -> None:
    one, other = in_memory(dtype), in_file(dtype, memory)
    assert (len(other), other.shape, other.device, other.row_bytes) == (62, (2, 6, 6), one.device, one.row_bytes)
    order = torch.randperm(62, generator=torch.Generator().manual_seed(0))
    assert same(one.batches(order, 7), other.batches(order, 7)) == 9
    assert same(one.batches(order[40:], 62), other.batches(order[40:], 62)) == 1
    assert same(one.in_order(25), other.in_order(25)) == 3
    assert same(iter([one.rows(60, 99)]), iter([other.rows(60, 99)])) == 1
    assert len(other.rows(62, 70)[0]) == 0
    assert one.extremes() == other.extremes() == pytest.approx((-2 / 3, 2 / 3))


def test_layers_that_examples_go_through_see_the_same() -> None:
    x, y = digits()
    pool = torch.nn.MaxPool2d(2)
    other = FileExamples(Stored(x), y, SCALING, "cpu", 3000, through=pool)
    assert (other.shape, other.row_bytes) == ((2, 3, 3), 72)
    one = Examples(pool(in_memory().rows(0, 62)[0]), y)
    order = torch.arange(61, -1, -1)
    assert same(one.batches(order, 7), other.batches(order, 7)) == 9


def network(data: Examples, regime: Regime, watch: Any, make: Callable[..., Any]) -> tuple[bytes, Any]:
    made = make(LAYERS, (2, 6, 6))
    optimizer = Sgd(learning_rate=0.1, momentum=0.9).build(made.parameters())
    held_out = in_file(n=30, seed=1) if isinstance(data, FileExamples) else in_memory(n=30, seed=1)
    history = fit(Classification(made, CrossEntropy()), optimizer, data, held_out, regime, seed=5, watch=watch)
    return b"".join(t.numpy().tobytes() for t in made.state_dict().values()), history.without_times()


def machine(data: Examples, regime: Regime, watch: Any, make: Callable[..., Any]) -> tuple[bytes, Any]:
    some = data.rows(0, SOME)[0].flatten(1)
    seen = Visible((72,), some.mean(0), some.std(0), count=len(data), some=some)
    objective = Rbm().objective(Dense(units=8, activation="sigmoid"), None, seen, 0, "float32")
    optimizer = Sgd(learning_rate=0.1).build(objective.module.parameters())
    history = fit(objective, optimizer, data, data, Regime(3, 16, shuffle=regime.shuffle), seed=5, watch=watch)
    return b"".join(p.detach().numpy().tobytes() for p in objective.module.parameters()), history.without_times()


@pytest.mark.parametrize("shuffle", [Full(), Blocks(block=8, buffer=2)], ids=["full", "blocks"])
@pytest.mark.parametrize("learned", [network, machine])
def test_training_from_a_file_gives_the_bits_of_training_from_memory_interrupted_or_not(
    learned: Callable[..., Any], shuffle: Shuffle, watch: Any, request: pytest.FixtureRequest
) -> None:
    """Dropout and augmentation included; each side takes up what the other had begun."""
    make = request.getfixturevalue("network")
    regime = Regime(3, 16, augmentation=(Shift(pixels=1), Flip()), shuffle=shuffle)
    whole = learned(in_memory(), regime, watch(), make)
    assert learned(in_file(), regime, watch(), make) == whole
    for first, second in ((in_file(), in_file()), (in_memory(), in_file()), (in_file(), in_memory())):
        stopped = watch(stop_at=6)  # in the middle of the second epoch
        with pytest.raises(Interrupted):
            learned(first, regime, stopped, make)
        assert learned(second, regime, watch(states=stopped.states), make) == whole
    other = Blocks(block=8, buffer=3)
    assert learned(in_memory(), replace(regime, shuffle=other), watch(), make) != whole


def test_no_more_is_held_than_is_allowed() -> None:
    x, y = digits(n=5000)
    stored = Stored(x)
    examples, memory = FileExamples(stored, y, SCALING, "cpu", 30_000), 30_000
    for _ in examples.batches(torch.randperm(5000, generator=torch.Generator().manual_seed(0)), 10):
        pass
    assert memory // 3 <= stored.most <= memory
    assert set(stored.asked[:-1]) == {130}  # 10,000 bytes of 72, in whole batches
    stored.most = 0
    for _ in examples.in_order(10):
        pass
    assert 0 < stored.most <= memory


def test_the_next_part_is_read_while_one_is_used() -> None:
    begun = [threading.Event() for _ in range(3)]

    def parts() -> Iterator[str]:
        for event in begun:
            event.set()
            yield threading.current_thread().name

    found = read_ahead(parts())
    assert next(found) != threading.current_thread().name
    assert begun[1].wait(10)
    assert not begun[2].is_set()
    assert len(list(found)) == 2


def test_what_goes_wrong_while_reading_ahead_is_told_where_examples_are_taken() -> None:
    class Damaged(Stored):
        def take(self, rows: np.ndarray) -> np.ndarray:
            if len(self.asked) == 2:
                raise CorruptionError("the file ends before its rows do")
            return super().take(rows)

    x, y = digits()
    taken = FileExamples(Damaged(x), y, SCALING, "cpu", 0).batches(torch.arange(62), 10)
    assert [len(next(taken)[0]) for _ in range(2)] == [10, 10]
    with pytest.raises(CorruptionError, match="ends before"):
        next(taken)


def test_nobody_reads_on_when_taking_has_ended() -> None:
    before = threading.active_count()
    taken = in_file(memory=0).batches(torch.arange(62), 10)
    next(taken)
    assert threading.active_count() == before + 1
    taken.close()  # type: ignore[attr-defined]
    assert threading.active_count() == before
