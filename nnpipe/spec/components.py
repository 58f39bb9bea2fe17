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
        each = {kind: handler(self.member(kind).__pydantic_core_schema__) for kind in self.classes}
        mapping = {kind: document["$ref"] for kind, document in each.items() if "$ref" in document}
        return {"oneOf": list(each.values()), "discriminator": {"propertyName": "kind", "mapping": mapping}}

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
