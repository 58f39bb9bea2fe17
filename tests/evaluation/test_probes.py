"""Simple classifiers that ask what a representation holds."""

from __future__ import annotations

import numpy as np

from nnpipe.evaluation.probes import linear_probe, neighbour_probe

RNG = np.random.default_rng(0)


def test_the_linear_probe_tells_apart_what_a_plane_can_and_not_what_it_cannot() -> None:
    x = RNG.uniform(-1, 1, (400, 2)).astype(np.float32)
    scaled = x * np.float32([1, 1000])  # features of any size: they are standardised
    halves, quarters = (x[:, 0] + x[:, 1] > 0).astype(int), (x[:, 0] * x[:, 1] > 0).astype(int)
    assert (linear_probe(scaled, halves)(scaled) == halves).mean() > 0.97
    assert (linear_probe(scaled, quarters)(scaled) == quarters).mean() < 0.7


def test_the_neighbours_vote_and_can_tell_quarters() -> None:
    x, new = RNG.uniform(-1, 1, (1000, 2)).astype(np.float32), RNG.uniform(-1, 1, (100, 2)).astype(np.float32)
    quarters = (x[:, 0] * x[:, 1] > 0).astype(int)
    assert (neighbour_probe(x, quarters, 5)(new) == (new[:, 0] * new[:, 1] > 0)).mean() > 0.9


def test_neighbours_are_those_of_a_brute_search() -> None:
    x, y, new = RNG.standard_normal((60, 4)), RNG.integers(0, 3, 60), RNG.standard_normal((20, 4))
    nearest = np.argsort(((new[:, None] - x[None]) ** 2).sum(2), axis=1)[:, :3]
    votes = np.array([np.bincount(row, minlength=3).argmax() for row in y[nearest]])
    assert (neighbour_probe(x, y, 3)(new) == votes).all()
    assert (neighbour_probe(x[:2], y[:2], 3)(new) >= 0).all()  # fewer examples than neighbours: all vote


def test_a_feature_that_never_changes_says_nothing() -> None:
    x = RNG.standard_normal((50, 3)).astype(np.float32)
    x[:, 1] = 7
    y = (x[:, 0] > 0).astype(int)
    assert (linear_probe(x, y)(x) == y).mean() > 0.9
