"""From a document to a frozen part: every mistake told with its place, what was expected and what was found."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from pydantic import ValidationError

from nnpipe.errors import NnpipeError, SpecError, nearest
from nnpipe.spec.components import STRICT
from nnpipe.spec.document import Document, describe
from nnpipe.spec.part import Part, Path

P = TypeVar("P", bound=Part)

EXPECTED = {
    "missing": "a value",
    "int_type": "a whole number",
    "int_parsing": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "float_parsing": "a number",
    "finite_number": "a finite number",
    "string_type": "text",
    "bool_type": "true or false",
    "bool_parsing": "true or false",
    "list_type": "a list",
    "tuple_type": "a list",
    "dict_type": "a mapping",
    "model_type": "a mapping",
    "model_attributes_type": "a mapping",
    "none_required": "null",
    "union_tag_not_found": "a mapping with a key 'kind'",
}
BOUNDS = {
    "greater_than": ("greater than", "gt"),
    "greater_than_equal": ("at least", "ge"),
    "less_than": ("less than", "lt"),
    "less_than_equal": ("at most", "le"),
    "too_short": ("a length of at least", "min_length"),
    "too_long": ("a length of at most", "max_length"),
    "string_too_short": ("text of a length of at least", "min_length"),
    "string_pattern_mismatch": ("text that matches", "pattern"),
}


def validate(kind: type[P], document: Document, context: Mapping[str, Any] | None = None) -> P:
    """The part that ``document`` says, every field checked strictly (``"5"`` is text, not a number).

    Raises:
        SpecError: with one problem for each mistake.
    """
    if not isinstance(document.data, dict):
        found = describe(document.data)
        raise SpecError([NnpipeError("not a spec", where=document.name, expected="a mapping", found=found)])
    try:
        return kind.model_validate(_frozen(document.data), strict=True, context={**(context or {}), STRICT: True})
    except ValidationError as error:
        raise SpecError(_problems(error, document)) from None


def _frozen(value: Any) -> Any:
    """Lists as tuples: parts are frozen, and strict validation takes neither for the other."""
    if isinstance(value, dict):
        return {key: _frozen(item) for key, item in value.items()}
    return tuple(_frozen(item) for item in value) if isinstance(value, list) else value


def _problems(error: ValidationError, document: Document) -> list[NnpipeError]:
    grouped: dict[Path, list[Any]] = {}
    for entry in error.errors(include_url=False):
        path = _document_path(entry["loc"], document)
        if entry["type"] == "nnpipe":
            path += tuple(entry["ctx"]["path"])
        elif entry["type"] == "missing":
            path += (entry["loc"][-1],)
        grouped.setdefault(path, []).append(entry)
    return [_problem(path, entries, document) for path, entries in grouped.items()]


def _document_path(loc: Path, document: Document) -> Path:
    """The place in the document: pydantic's names of union members on the way are left out."""
    path: Path = ()
    node: Any = document.data
    for word in loc:
        inside = word in node if isinstance(node, dict) else isinstance(node, list) and word in range(len(node))
        if inside:
            node = node[word]
            path += (word,)
    return path


def _problem(path: Path, entries: list[Any], document: Document) -> NnpipeError:
    name = ".".join(map(str, path)) or "spec"
    own = next((entry for entry in entries if entry["type"] == "nnpipe"), None)
    if own:
        context = own["ctx"]
        unknown_key = context["what"].startswith("unknown key")
        return NnpipeError(
            f"{name}: {context['what']}",
            where=document.where(path, key=unknown_key),
            expected=context["expected"],
            found=context["found"],
            hint=context["hint"],
        )
    try:
        found = describe(document.value(path))
    except KeyError:
        found = "nothing"
    expected, hint = zip(*(_expected(entry) for entry in entries), strict=True)
    return NnpipeError(
        f"{name} is missing" if entries[0]["type"] == "missing" else f"{name}: not what belongs here",
        where=document.where(path),
        expected=" or ".join(dict.fromkeys(expected)),
        found=found,
        hint=next((text for text in hint if text), None),
    )


def _expected(entry: Any) -> tuple[str, str | None]:
    """What pydantic wanted, in words, and the nearest valid name where names were wanted."""
    kind, context = entry["type"], entry.get("ctx", {})
    if kind in EXPECTED:
        return EXPECTED[kind], None
    if kind in BOUNDS:
        words, key = BOUNDS[kind]
        return f"{words} {context[key]}", None
    if kind == "union_tag_invalid":
        names = context["expected_tags"].replace("'", "").split(", ")
        return "a kind that nnpipe knows", nearest(context["tag"], names)
    if kind == "literal_error":
        names = context["expected"].replace(" or ", ", ").replace("'", "").split(", ")
        return context["expected"], nearest(entry["input"], names) if isinstance(entry["input"], str) else None
    return entry["msg"], None
