"""The ``matrix`` of a spec: axes of overrides, whose combinations make a family of specs.

    matrix:
      seed: [0, 1, 2]
      train.optimizer.learning_rate: [0.1, 0.01]
      depth:
        - {name: one layer, set: {model.layers: [...]}}
        - {name: two layers, set: {model.layers: [...]}}

An axis is a field, as ``--set`` knows it, with its values; or a free name with groups of overrides that go together.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations, product
from math import prod
from typing import Any

from nnpipe.errors import NnpipeError, SpecError
from nnpipe.spec.document import Document, describe, field_path
from nnpipe.spec.part import Path
from nnpipe.spec.words import words

MATRIX, SEED = "matrix", "seed"
MOST = 1000  # combinations
FIXED = ("version", "name", MATRIX)  # what all combinations have in common

SCHEMA: dict[str, Any] = {
    "description": "Axes of overrides: nnpipe sweep runs every combination.",
    "type": "object",
    "minProperties": 1,
    "additionalProperties": {
        "type": "array",
        "minItems": 1,
        "items": {
            "anyOf": [
                {
                    "type": "object",
                    "description": "Overrides that go together.",
                    "properties": {"name": {"type": "string", "minLength": 1}, "set": {"type": "object"}},
                    "required": ["name", "set"],
                    "additionalProperties": False,
                },
                {"description": "A value of the field that the axis is called by."},
            ]
        },
    },
}


@dataclass(frozen=True)
class Setting:
    """A field, its value, and where the matrix says so."""

    key: str
    value: Any
    source: Path

    @property
    def path(self) -> Path:
        return field_path(self.key)


@dataclass(frozen=True)
class Choice:
    """One value of an axis: of a field, or the name of a group of settings.

    source: where it stands in the document.
    """

    axis: str
    value: Any
    settings: tuple[Setting, ...]
    source: Path


Axis = tuple[Choice, ...]
Combination = tuple[Choice, ...]


def has_matrix(document: Document) -> bool:
    """Whether a document is a family of specs."""
    return isinstance(document.data, dict) and MATRIX in document.data


def take_matrix(document: Document, overrides: Sequence[str]) -> tuple[Axis, ...]:
    """Apply ``overrides`` (KEY=VALUE), and take the matrix out of the document.

    ``matrix.KEY=[...]`` replaces the axis called KEY, or adds one.

    Raises:
        SpecError: there is no matrix, or it is wrong; one problem for each mistake.
        UsageError: an override cannot be applied.
    """
    if not isinstance(document.data, dict):
        found = describe(document.data)
        raise SpecError([NnpipeError("not a spec", where=document.name, expected="a mapping", found=found)])
    fixed = []
    for assignment in overrides:
        key, equals, text = assignment.partition("=")
        if equals and key.strip().startswith(f"{MATRIX}."):
            value = Document.parse(text, f"--set {key}").data if text.strip() else None
            document.put((MATRIX, key.strip().removeprefix(f"{MATRIX}.")), value, f"--set {assignment}")
        else:
            document.override(assignment)
            fixed.append(key.strip())
    if MATRIX not in document.data:
        hint = "nnpipe run runs a single spec; matrix: {seed: [0, 1, 2]} would make three of it"
        raise SpecError([NnpipeError(f"no {MATRIX!r} in this spec", where=document.name, hint=hint)])
    matrix = document.data.pop(MATRIX)
    problems = list(_problems(document, matrix))
    if problems:
        raise SpecError(problems)
    axes = tuple(_axis(name, values) for name, values in matrix.items())
    problems = [*_duplicates(document, axes), *_overwritten(document, axes, fixed)]
    if problems:
        raise SpecError(problems)
    return axes


def all_combinations(axes: Sequence[Axis]) -> Iterator[Combination]:
    """Every combination, the last axis running fastest."""
    return product(*axes)


def combined(document: Document, combination: Combination) -> Document:
    """A copy of the document with the settings of a combination.

    Raises:
        UsageError: a setting leads through something that has no keys.
    """
    single = document.copy()
    for choice in combination:
        for setting in choice.settings:
            single.put(setting.path, copy.deepcopy(setting.value), setting.source)
    return single


def told(combination: Combination) -> str:
    """A combination as a person reads it: ``seed=0, depth=one layer``."""
    return ", ".join(f"{choice.axis}={words(choice.value)}" for choice in combination)


# -- what can be wrong ---------------------------------------------------------------------------------------


def _problems(document: Document, matrix: Any) -> Iterator[NnpipeError]:
    def wrong(what: str, path: Path, expected: str, found: Any, *, key: bool = False) -> NnpipeError:
        where = document.where((MATRIX, *path), key=key)
        return NnpipeError(
            f"{'.'.join(map(str, (MATRIX, *path)))}: {what}", where=where, expected=expected, found=found
        )

    if not isinstance(matrix, dict) or not matrix:
        yield wrong("not a matrix", (), "a mapping from names of fields to lists of values", describe(matrix))
        return
    for name, values in matrix.items():
        if name.split(".")[0] in FIXED:
            yield wrong("the same for all combinations", (name,), "another field", repr(name), key=True)
        elif not isinstance(values, list) or not values:
            yield wrong("no axis", (name,), "a list with at least one value", describe(values))
        elif _is_group(values):
            for index, value in enumerate(values):
                yield from _group_problems(wrong, (name, index), value)
        elif not _is_key(name):
            yield wrong("not the name of a field", (name,), "words with dots between", repr(name), key=True)
    size = prod(len(values) for values in matrix.values() if isinstance(values, list))
    if size > MOST:
        yield wrong("too many combinations", (), f"at most {MOST}", str(size), key=True)


def _group_problems(wrong: Any, path: Path, value: Any) -> Iterator[NnpipeError]:
    if not isinstance(value, dict) or set(value) != {"name", "set"}:
        yield wrong("not a group of overrides", path, "{name: ..., set: {field: value}}", describe(value))
        return
    name = value["name"]
    if isinstance(name, bool) or not isinstance(name, str | int | float) or not str(name).strip():
        yield wrong("not a name", (*path, "name"), "text or a number", describe(name))
    if not isinstance(value["set"], dict):
        yield wrong("not a group of overrides", (*path, "set"), "a mapping", describe(value["set"]))
        return
    for key in value["set"]:
        if not _is_key(key) or key.split(".")[0] in FIXED:
            yield wrong("not a field to set", (*path, "set", key), "the name of a field", repr(key), key=True)


def _is_key(key: str) -> bool:
    return all(word.strip() for word in key.split("."))


def _is_group(values: list[Any]) -> bool:
    # No component of a spec has a field called so.
    return any(isinstance(value, dict) and "set" in value for value in values)


def _axis(name: str, values: list[Any]) -> Axis:
    if not _is_group(values):
        sources = [(MATRIX, name, index) for index in range(len(values))]
        return tuple(
            Choice(name, value, (Setting(name, value, source),), source)
            for value, source in zip(values, sources, strict=True)
        )
    choices = []
    for index, group in enumerate(values):
        source: Path = (MATRIX, name, index)
        settings = (Setting(key, value, (*source, "set", key)) for key, value in group["set"].items())
        choices.append(Choice(name, group["name"], tuple(settings), source))
    return tuple(choices)


def _duplicates(document: Document, axes: Sequence[Axis]) -> Iterator[NnpipeError]:
    for axis in axes:
        for before, after in combinations(axis, 2):
            if (type(before.value) is bool) == (type(after.value) is bool) and before.value == after.value:
                what = f"{MATRIX}.{after.axis}: the same value twice"
                yield NnpipeError(
                    what,
                    where=document.where(after.source),
                    expected="values that differ",
                    found=words(after.value),
                    hint=f"the first is at {document.where(before.source)}",
                )


def _overwritten(document: Document, axes: Sequence[Axis], fixed: Sequence[str]) -> Iterator[NnpipeError]:
    """Settings that replace what an override, or a setting before them, has set: its value would mean nothing."""
    earlier = [(key, f"--set {key}") for key in fixed]
    other_values = f"--set '{MATRIX}.{{}}=[...]' gives the axis other values"
    for axis in axes:
        for choice in axis:
            so_far = list(earlier)
            for setting in choice.settings:
                lost = next((source for key, source in so_far if _covers(setting.path, field_path(key))), None)
                if lost is not None:
                    yield NnpipeError(
                        f"{MATRIX}: {setting.key} replaces what is set before it",
                        where=document.where(setting.source, key=True),
                        expected="each field set once, and larger parts before the fields in them",
                        found=lost,
                        hint=other_values.format(choice.axis) if lost.startswith("--set") else None,
                    )
                so_far.append((setting.key, f"{setting.key} at {document.where(setting.source)}"))
        earlier += [(s.key, f"{s.key} at {document.where(s.source)}") for choice in axis for s in choice.settings]


def _covers(whole: Path, part: Path) -> bool:
    return part[: len(whole)] == whole
