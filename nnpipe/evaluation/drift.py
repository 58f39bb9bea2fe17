"""Whether the data that two networks learned from differ by more than chance and more than a little.

Classes by the population stability index, the sum of (p - q) log(p / q) over classes; 0.1 is where practice begins to
look (Siddiqi 2006, "Credit Risk Scorecards"). Between two samples of one population it is about (1/n + 1/m) times a
chi-squared variable (Yurdakul 2018, "Statistical Properties of Population Stability Index"). Values and numbers to
learn by standardised differences of means, (m1 - m0) / sqrt((s0^2 + s1^2) / 2); 0.2 is a small effect (Cohen 1988).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

STABLE = 0.1  # population stability index
SMALL = 0.2  # standard deviations
SPREAD = 1.25  # ratio of standard deviations, either way
CHANCE = 0.01  # how often chance alone may look like drift
TINY = 1e-9
TOLD = 3  # the classes or features that a sentence names


def drift(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, Any]:
    """What became of the training data between two artifacts of data, as JSON.

    before, after: ``statistics``, ``class_names``, ``target_names`` as in the attributes of data, and ``examples``, how
    many there are to train on. ``found`` says whether there is drift, ``sentence`` which.
    """
    counts = (before["examples"], after["examples"])
    then, now = before["statistics"], after["statistics"]
    parts = {"values": _values(then, now, counts)}
    if "class_counts" in then and "class_counts" in now:
        parts["classes"] = _classes(before, after)
    if "targets" in then and "targets" in now:
        parts["targets"] = _values(then["targets"], now["targets"], counts, after.get("target_names") or ())
    drifted = [part["sentence"] for part in parts.values() if part["sentence"]]
    sentence = "; ".join(drifted) or "the training data are like the champion's"
    return {"found": bool(drifted), "sentence": sentence, "examples": list(counts), **parts}


def _classes(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, Any]:
    from scipy.stats import chi2

    names = list(dict.fromkeys([*before["class_names"], *after["class_names"]]))
    counts = np.array([_counts(each, names) for each in (before, after)])
    then, now = (counts + 0.5) / (counts + 0.5).sum(axis=1, keepdims=True)  # half an example more: no share is 0
    index = float(((now - then) * np.log(now / then)).sum())
    limit = max(STABLE, float(chi2.isf(CHANCE, max(len(names) - 1, 1)) * (1 / counts.sum(axis=1)).sum()))
    most = [int(place) for place in np.argsort(-np.abs(now - then), kind="stable")[:TOLD]]
    moved = ", ".join(f"{names[place]} from {then[place]:.1%} to {now[place]:.1%}" for place in most)
    shares = {name: [float(a), float(b)] for name, a, b in zip(names, then, now, strict=True)}
    sentence = f"classes are divided otherwise: {moved}" if index > limit else ""
    return {"sentence": sentence, "stability_index": index, "limit": limit, "shares": shares}


def _counts(data: Mapping[str, Any], names: Sequence[str]) -> list[int]:
    there = dict(zip(data["class_names"], data["statistics"]["class_counts"]["train"], strict=True))
    return [there.get(name, 0) for name in names]


def _values(
    then: Mapping[str, Any], now: Mapping[str, Any], counts: tuple[int, int], names: Sequence[str] = ()
) -> dict[str, Any]:
    """Of all values together, and of each feature where both tell of the same ones."""
    whole = float(_shift(then["mean"], then["std"], now["mean"], now["std"]))
    ratio = float((now["std"] + TINY) / (then["std"] + TINY))
    # The values of one example may go together: no more than one of them says something of its own.
    limit = _limit(counts, 1)
    told = [f"by {whole:+.2f} standard deviations in all"] if abs(whole) > limit else []
    if not 1 / SPREAD <= ratio <= SPREAD:
        told.append(f"their deviation is {ratio:.2f} times what it was")
    found: dict[str, Any] = {"shift": whole, "limit": limit, "deviation_ratio": ratio}
    if then.get("feature_mean") and len(then["feature_mean"]) == len(now.get("feature_mean") or ()):
        each = _shift(*(np.array(side[f"feature_{name}"]) for side in (then, now) for name in ("mean", "std")))
        limit = _limit(counts, len(each))
        order = [int(place) for place in np.argsort(-np.abs(each), kind="stable")[:TOLD]]
        called = {place: names[place] if names else f"feature {place}" for place in order}
        told += [f"{called[place]} by {each[place]:+.2f}" for place in order if abs(each[place]) > limit]
        found |= {"features": {called[place]: float(each[place]) for place in order}, "feature_limit": limit}
    what = "numbers to learn" if names else "values"
    return {"sentence": f"{what} have moved: {', '.join(told)}" if told else "", **found}


def _limit(counts: tuple[int, int], features: int) -> float:
    """The standardised difference from which on one of so many features has moved."""
    from scipy.stats import norm

    return max(SMALL, float(norm.isf(CHANCE / (2 * features)) * np.sqrt(sum(1 / count for count in counts))))


def _shift(mean: Any, std: Any, new_mean: Any, new_std: Any) -> Any:
    """How far a mean moved in standard deviations; what never varied counts as varying by next to nothing."""
    pooled = np.sqrt((np.square(std) + np.square(new_std)) / 2)
    return (new_mean - mean) / np.maximum(pooled, TINY * np.maximum(np.abs(mean), 1))
