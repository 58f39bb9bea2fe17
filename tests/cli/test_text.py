from __future__ import annotations

import pytest

from nnpipe.cli import text


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (None, "-"),
        (0, "0.00s"),
        (0.994, "0.99s"),
        (0.996, "1.0s"),
        (9.94, "9.9s"),
        (9.96, "10s"),
        (99.4, "99s"),
        (99.6, "1m 40s"),
        (432, "7m 12s"),
        (3599.6, "1h 00m"),
        (11_100, "3h 05m"),
    ],
)
def test_durations(seconds, shown):
    assert text.duration(seconds) == shown


@pytest.mark.parametrize(
    ("count", "shown"), [(0, "0 B"), (812, "812 B"), (1_700, "1.7 kB"), (1_749_928, "1.7 MB"), (5.4e11, "540 GB")]
)
def test_sizes(count, shown):
    assert text.size(count) == shown


@pytest.mark.parametrize(
    ("seconds", "shown"), [(7.17e-4, "717us/sample"), (0.0026, "3ms/sample"), (1.5, "1.5s/sample")]
)
def test_the_time_of_a_sample(seconds, shown):
    assert text.per_sample(seconds) == shown


@pytest.mark.parametrize(("seconds", "shown"), [(23, "0:23"), (3599, "59:59"), (3723, "1:02:03"), (36_000, "10:00:00")])
def test_time_left(seconds, shown):
    assert text.clock(seconds) == shown


def test_a_tiny_loss_keeps_its_digits():
    assert [text.measure(value) for value in (0.98061, 0, 2.5e-6)] == ["0.9806", "0.0000", "2.5000e-06"]


def test_columns_of_a_table_are_aligned():
    assert text.table(("stage", "took"), [("a", "1s"), ("pretrain/1", "100s")], "<>") == [
        "stage       took",
        "a             1s",
        "pretrain/1  100s",
    ]


def test_nested_fields_have_the_names_that_set_takes():
    value = {"train": {"epochs": 3, "betas": [0.9, 0.999]}, "layers": [{"units": 4}], "pretrain": None, "on": True}
    assert list(text.dotted(value)) == [
        ("train.epochs", "3"),
        ("train.betas", "[0.9, 0.999]"),
        ("layers.0.units", "4"),
        ("pretrain", "null"),
        ("on", "true"),
    ]
