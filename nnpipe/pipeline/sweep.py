"""A sweep: the specs that a ``matrix`` makes of one, each checked before anything runs, and what they share.

Nothing heavy is imported, and nothing is computed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

from nnpipe.errors import NnpipeError, SpecError, UsageError
from nnpipe.pipeline.graph import Stage
from nnpipe.pipeline.plan import Status, make_plan
from nnpipe.pipeline.precision import Device
from nnpipe.pipeline.spec import Spec
from nnpipe.spec import identity
from nnpipe.spec.document import Document
from nnpipe.spec.matrix import MATRIX, Choice, Combination, all_combinations, combined, take_matrix, told
from nnpipe.spec.validate import validate
from nnpipe.store.canonical import JSON, digest
from nnpipe.store.store import Store


@dataclass(frozen=True)
class Member:
    """One run of a sweep.

    values: the name of an axis -> its value here; of a group its name.
    overrides: what the values set, as ``--set`` knows it.
    """

    values: Mapping[str, Any]
    overrides: Mapping[str, Any]
    spec: Spec
    told: str


@dataclass(frozen=True)
class Family:
    """Every run of a sweep, the last axis running fastest.

    document: the spec as it was written, overrides and matrix included.
    root: the folder that relative paths in it start from.
    """

    document: dict[str, Any]
    axes: tuple[str, ...]
    members: tuple[Member, ...]
    root: Path

    @property
    def name(self) -> str:
        return self.members[0].spec.name


def read_family(document: Document, overrides: Sequence[str], root: Path) -> Family:
    """Apply ``overrides`` (KEY=VALUE) and check every combination of the matrix.

    Raises:
        SpecError: one problem for each mistake, with file, line, column and the combination it belongs to.
        UsageError: an override cannot be applied.
    """
    axes = take_matrix(document, overrides)
    members: list[Member] = []
    problems: list[tuple[NnpipeError, Combination]] = []
    for combination in all_combinations(axes):
        try:
            spec = _spec(document, combination, root)
        except SpecError as error:
            problems += [(_at_its_cause(p, document, combination, root), combination) for p in error.problems]
            continue
        values = {choice.axis: choice.value for choice in combination}
        settings = {setting.key: setting.value for choice in combination for setting in choice.settings}
        members.append(Member(values, settings, spec, told(combination)))
    if problems:
        raise SpecError(_each_once(problems, prod(map(len, axes))))
    whole = {**document.data, MATRIX: {axis[0].axis: [_written(choice) for choice in axis] for axis in axes}}
    return Family(whole, tuple(axis[0].axis for axis in axes), tuple(members), root)


def _written(choice: Choice) -> JSON:
    """A choice as the matrix says it."""
    if [setting.source for setting in choice.settings] == [choice.source]:
        return choice.value
    return {"name": choice.value, "set": {setting.key: setting.value for setting in choice.settings}}


def _spec(document: Document, combination: Combination, root: Path) -> Spec:
    try:
        return validate(Spec, combined(document, combination), {"root": root})
    except SpecError:
        raise
    except UsageError as error:  # a setting that leads nowhere
        raise SpecError([error]) from error


def _at_its_cause(problem: NnpipeError, document: Document, combination: Combination, root: Path) -> NnpipeError:
    """A problem told in the matrix: where it stands, or else at the last value without which it would not be there."""
    where = problem.where or ""
    if document.stands_in((MATRIX,), where) or where.startswith(f"--set {MATRIX}."):
        return problem
    for index in reversed(range(len(combination))):
        try:
            _spec(document, combination[:index] + combination[index + 1 :], root)
        except SpecError as error:
            if problem.what in (other.what for other in error.problems):
                continue
        where = document.where(combination[index].source)
        break
    return NnpipeError(problem.what, where=where, expected=problem.expected, found=problem.found, hint=problem.hint)


def _each_once(problems: Iterable[tuple[NnpipeError, Combination]], total: int) -> Iterator[NnpipeError]:
    """Problems that several combinations have, told once, with the first of them."""
    alike: dict[str, list[tuple[NnpipeError, Combination]]] = {}
    for problem, combination in problems:
        alike.setdefault(str(problem), []).append((problem, combination))
    for same in alike.values():
        problem, combination = same[0]
        others = f" and {len(same) - 1} more" if len(same) > 1 else ""
        whose = "every combination" if len(same) == total > 1 else f"combination {told(combination)}{others}"
        yield NnpipeError(
            f"{problem.what} ({whose})",
            where=problem.where,
            expected=problem.expected,
            found=problem.found,
            hint=problem.hint,
        )


# -- what is shared ------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class SharedStage:
    """A stage of a sweep, counted.

    combinations: how many have it.
    different: how many different ones these are, as far as specs tell; identical results share more.
    reuse, resume, compute: what would become of the different ones.
    """

    name: str
    combinations: int
    different: int
    reuse: int
    resume: int
    compute: int


def plan_family(family: Family, store: Store, device: Device = "auto") -> list[SharedStage]:
    """What a sweep would reuse, resume and compute, stage by stage. device: where, as for ``make_plan``."""
    plans = [make_plan(member.spec, store, family.root, device=device).stages for member in family.members]
    found: dict[str, list[tuple[str, Status]]] = {}
    for stages in sorted(plans, key=len, reverse=True):  # the longest has every stage, in order
        meant = meanings(planned.stage for planned in stages)
        for planned in stages:
            found.setdefault(planned.stage.name, []).append((meant[planned.stage.name], planned.status))
    counted = []
    for name, each in found.items():
        states = list(dict(each).values())
        counts = (states.count("reuse"), states.count("resume"), states.count("compute"))
        counted.append(SharedStage(name, len(each), len(states), *counts))
    return counted


def meanings(stages: Iterable[Stage]) -> dict[str, str]:
    """Of each stage a digest of all that a spec says of it and of what comes before it; ``stages`` are in order."""
    found: dict[str, str] = {}
    for stage in stages:
        inputs = {word: found[made_by] for word, made_by in stage.inputs.items()}
        source = identity(stage.source) if stage.source else None
        said = [stage.name, identity(stage.config), source, inputs, dict(stage.given), stage.seed]
        found[stage.name] = digest("nnpipe/meaning/1", said)
    return found
