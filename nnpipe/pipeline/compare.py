"""What differs between two recipes, by name: the field, the definition in a file, the input. Loads nothing heavy.

Recipes that differ have at least one difference, and recipes that are equal have none.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Literal

from nnpipe.pipeline.fingerprint import MODULE, ORDER
from nnpipe.pipeline.recipe import recipe_key
from nnpipe.store.canonical import JSON, canonical_json
from nnpipe.store.record import Record
from nnpipe.store.store import Store

Change = Literal["changed", "added", "removed"]
SHORT = 10  # characters of a digest that are shown

# Stage -> field of its part -> field of the spec that it was read from; "" stands for the fields that are not listed.
SPEC_FIELDS: dict[str, dict[str, str]] = {
    "ingest": {"": "data"},
    "pretrain": {"": "pretrain", "scaling": "data.scaling", "layer": "layer", "between": "between", "below": "below"},
    "finetune": {
        "scaling": "data.scaling",
        "target_scaling": "data.target_scaling",
        "pretrained": "pretrain.layers",
        "imported": "model.keep",
    },
    "import": {"reader": "model.format"},
    "evaluate": {"loss": "train.loss", "top_k": "evaluate.top_k"},
    "visualize": {"pictures": "visualize", "loss": "train.loss", "first_seed": "seed"},
    "export": {"formats": "export", "pretrained": "pretrain"},
    "report": {"spec": ""},
}


@dataclass(frozen=True)
class Difference:
    """One thing that differs between two recipes. Its text names it.

    kind: the ingredient.
    name: field of the spec, definition in ``file``, the stage's word for an input, ``seed`` or ``stage``.
    before, after: value or content digest; None where ``change`` says that there was none.
    file: of code, from the folder that holds the package.
    """

    kind: Literal["config", "inputs", "seed", "code", "stage"]
    name: str
    change: Change
    before: JSON = None
    after: JSON = None
    file: str | None = None

    def to_json(self) -> dict[str, JSON]:
        return {**asdict(self), "text": str(self)}

    def __str__(self) -> str:
        if self.kind == "code":
            return f"code {self.file}{_defined(self.name)} {self.change}"
        if self.kind == "inputs":
            what = "files of the source: content" if self.name == "files" else f"input {self.name}: content"
            before, after = str(self.before)[:SHORT], str(self.after)[:SHORT]
        else:
            what = f"config field {self.name}:" if self.kind == "config" else f"{self.kind}:"
            before, after = (json.dumps(value, ensure_ascii=False) for value in (self.before, self.after))
        told = {"changed": f"{before} -> {after}", "added": f"{after} added", "removed": f"{before} removed"}
        return f"{what} {told[self.change]}"


def compare(
    before: Mapping[str, JSON], after: Mapping[str, JSON], spec: Mapping[str, JSON] | None = None
) -> list[Difference]:
    """What differs between two recipes as they are kept in ``Record.recipe``: fields, inputs, seed, then code.

    spec: the whole of what ``after`` was made from; it tells by which of two names a field was given.
    """
    old, new = (str(recipe.get("stage")) for recipe in (before, after))
    found = [] if old == new else [Difference("stage", "stage", "changed", old, new)]
    fields: dict[str, Difference] = {}
    for name, change, a, b in _differing(before.get("config"), after.get("config"), ()):
        field = spec_field(new, name, spec)
        fields.setdefault(field, Difference("config", field, change, a, b))
    found += fields.values()
    for name, change, a, b in _differing(before.get("inputs"), after.get("inputs"), ()):
        found.append(Difference("inputs", ".".join(name), change, a, b))
    if before.get("seed") != after.get("seed"):
        found.append(Difference("seed", "seed", "changed", before.get("seed"), after.get("seed")))
    return [*found, *_code(before.get("code") or {}, after.get("code") or {})]


def nearest_recipe(
    store: Store, ingredients: Mapping[str, JSON], name: str, spec: Mapping[str, JSON] | None = None
) -> tuple[Record, list[Difference]] | None:
    """What was computed before and is most like ``ingredients``: how it came about, and what differs from it.

    Of the same stage; first what runs of the spec called ``name`` computed, then what differs least, then the newest.
    spec: the whole of it, as for ``compare``.
    """
    key = recipe_key(ingredients)
    known = [r for r in store.records() if r.recipe.get("stage") == ingredients["stage"] and r.key != key]
    known.sort(key=lambda record: str(record.made.get("at")), reverse=True)
    compared = [(record, compare(record.recipe, ingredients, spec)) for record in known]
    return min(compared, key=lambda each: (_spec_of(each[0]) != name, len(each[1])), default=None)


def spec_field(stage: str, path: tuple[str, ...], spec: Mapping[str, JSON] | None = None) -> str:
    """The name that ``--set`` has for a field of a stage's part, where there is one. spec: as for ``compare``."""
    kind, _, number = stage.partition("/")
    names, (first, *rest) = SPEC_FIELDS.get(kind, {}), path or ("",)
    whole = names.get("", "")
    if kind == "pretrain" and first in _own_settings(spec, number):
        whole = f"{whole}.per_layer.{number}"
    renamed = (names[first],) if first in names else (whole, first)
    return ".".join(part for part in (*renamed, *rest) if part)


def _own_settings(spec: Mapping[str, JSON] | None, number: str) -> JSON:
    """What ``pretrain.per_layer`` gives the layer of this number."""
    pretrain = spec.get("pretrain") if spec else None
    per_layer = pretrain.get("per_layer") if isinstance(pretrain, dict) else None
    return per_layer.get(number, {}) if isinstance(per_layer, dict) else {}


# -- fields --------------------------------------------------------------------------------------------------


def _differing(
    before: JSON, after: JSON, path: tuple[str, ...]
) -> Iterator[tuple[tuple[str, ...], Change, JSON, JSON]]:
    """The smallest parts of two JSON values that differ, by where they stand."""
    a, b = _members(before), _members(after)
    if a is None or b is None or type(before) is not type(after):
        if canonical_json(before) != canonical_json(after):
            yield path, "changed", before, after
        return
    for key in (*a, *(key for key in b if key not in a)):
        if key not in b:
            yield (*path, key), "removed", a[key], None
        elif key not in a:
            yield (*path, key), "added", None, b[key]
        else:
            yield from _differing(a[key], b[key], (*path, key))


def _members(value: JSON) -> dict[str, JSON] | None:
    """The members of a mapping, or of a list of components; None for a value that is told as a whole."""
    if isinstance(value, list) and value and all(isinstance(item, dict) for item in value):
        return {str(index): item for index, item in enumerate(value)}
    return value if isinstance(value, dict) else None


# -- code ----------------------------------------------------------------------------------------------------


def _code(before: Mapping[str, JSON], after: Mapping[str, JSON]) -> Iterator[Difference]:
    for module in sorted({*before, *after}):
        file = module.replace(".", "/") + ".py"
        if module not in before or module not in after:
            yield Difference("code", "", "added" if module in after else "removed", file=file)
            continue
        a, b = before[module], after[module]
        if not (isinstance(a, dict) and isinstance(b, dict)):  # as it once was: one digest a module
            if a != b:
                yield Difference("code", "", "changed", file=file)
            continue
        changes = list(_differing(a, b, ()))
        for (name,), change, _, _ in changes:
            if name != ORDER or len(changes) == 1:  # whatever comes or goes changes the order too
                yield Difference("code", name, change, file=file)


def _defined(name: str) -> str:
    """How a definition is called in a sentence; PEP 8 tells classes from functions."""
    if name in ("", MODULE, ORDER):
        return {"": "", MODULE: ", statements outside functions and classes", ORDER: ", order of definitions"}[name]
    is_class = "." not in name and name.lstrip("_")[:1].isupper()
    return f", {'class' if is_class else 'function'} {name}"


def _spec_of(record: Record) -> str:
    """The spec whose run computed it: runs are called DATE-TIME-SPEC-LETTERS."""
    parts = str(record.made.get("run")).split("-")
    return "-".join(parts[2:-1])
