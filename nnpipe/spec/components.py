"""The components that can stand in one place of a spec: told apart by ``kind``, imported when they are first named.

A plan pays for the components that its spec names, and not for all that there are.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib import import_module
from typing import Any, get_args

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler, ValidationInfo
from pydantic_core import CoreSchema, PydanticKnownError, core_schema

from nnpipe.spec.part import Part

MEMBER, DEFINITIONS = "member", "#/$defs/"
STRICT = "strict"  # in the context of validation: "5" is text and no number, in components too


class Components:
    """The members of a union by their kind. A member is a class in a module that is called as its kind.

    >>> AnyOptimizer = Annotated[Optimizer, Components(__name__, sgd="Sgd", adam="Adam")]
    """

    def __init__(self, package: str, **classes: str) -> None:
        self.package, self.classes = package, classes

    def member(self, kind: str) -> type[Part]:
        """The class of the component called ``kind``."""
        found: type[Part] = getattr(import_module(f"{self.package}.{kind}"), self.classes[kind])
        return found

    def __get_pydantic_core_schema__(self, source: type[Part], handler: GetCoreSchemaHandler) -> CoreSchema:
        def validated(data: Any, info: ValidationInfo) -> Any:
            if isinstance(data, source):
                return data
            context: Mapping[str, Any] = info.context or {}
            member = self._member_of(data)
            return member.model_validate(data, strict=context.get(STRICT), context=info.context)

        return core_schema.with_info_plain_validator_function(validated)

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        # Members may hold components themselves, so ``json_schema`` puts them in, and each once.
        each = [{MEMBER: self.member(kind)} for kind in self.classes]
        mapping = {kind: DEFINITIONS + name for kind, name in self.classes.items()}
        return {"oneOf": each, "discriminator": {"propertyName": "kind", "mapping": mapping}}

    def _member_of(self, data: Any) -> type[Part]:
        if not isinstance(data, Mapping):
            raise PydanticKnownError("dict_type")
        if "kind" not in data:
            raise PydanticKnownError("union_tag_not_found", {"discriminator": "'kind'"})
        kind = data["kind"]
        if not isinstance(kind, str) or kind not in self.classes:
            told = {"discriminator": "'kind'", "tag": str(kind), "expected_tags": ", ".join(map(repr, self.classes))}
            raise PydanticKnownError("union_tag_invalid", told)
        return self.member(kind)


def members(union: Any) -> Iterator[type[Part]]:
    """Every class of a union of components, imported."""
    found = next(part for part in get_args(union) if isinstance(part, Components))
    return map(found.member, found.classes)


def json_schema(part: type[Part]) -> dict[str, Any]:
    """The JSON Schema of a part, with every component that can stand in it."""
    whole = part.model_json_schema()
    definitions = whole.setdefault("$defs", {})
    _put_in(whole, definitions)
    return whole


def _put_in(node: Any, definitions: dict[str, Any]) -> None:
    """Put references in place of members, and the members among the definitions."""
    for child in list(node.values() if isinstance(node, dict) else node):
        if isinstance(child, dict) and MEMBER in child:
            member: type[Part] = child.pop(MEMBER)
            child["$ref"] = DEFINITIONS + member.__name__
            if member.__name__ not in definitions:
                document = member.model_json_schema()
                found = {**document.pop("$defs", {}), member.__name__: document}
                definitions.update({name: found[name] for name in found.keys() - definitions.keys()})
                _put_in(found, definitions)
        elif isinstance(child, dict | list):
            _put_in(child, definitions)
