"""A part of a spec: a frozen pydantic model that refuses unknown keys and names the nearest valid one."""

from __future__ import annotations

from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict, GetCoreSchemaHandler, GetJsonSchemaHandler, model_validator
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

from nnpipe.errors import nearest

Path = tuple[str | int, ...]


class Part(BaseModel):
    """Base of everything that can stand in a spec.

    ``unkeyed`` names the fields that say where a thing lies, not what it is: they are left out of recipe keys.
    """

    # By alias: a spec may use words that Python keeps for itself.
    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        allow_inf_nan=False,
        validate_default=True,
        serialize_by_alias=True,
        defer_build=True,  # a plan names more parts than it checks
    )

    unkeyed: ClassVar[frozenset[str]] = frozenset()

    def own_module(self) -> Any:
        """The module of the user's own that the part is computed by, whose code counts in keys; None: there is none."""
        return None

    @model_validator(mode="before")
    @classmethod
    def _refuse_unknown_keys(cls, data: Any) -> Any:
        if isinstance(data, dict):
            known = {field.alias or name for name, field in cls.model_fields.items()}
            for key in data:
                if key not in known:
                    raise problem(
                        f"unknown key {str(key)!r}",
                        path=(str(key),),
                        expected=f"a key of {cls.__name__}",
                        found=repr(key),
                        hint=nearest(key, known),
                    )
        return data


def identity(part: Part) -> dict[str, Any]:
    """What of ``part`` determines results, as JSON: every field but those that say where a thing lies."""
    fields = type(part).model_fields.items()
    return {field.alias or name: _identity(getattr(part, name)) for name, field in fields if name not in part.unkeyed}


def _identity(value: Any) -> Any:
    if isinstance(value, Part):
        return identity(value)
    if isinstance(value, list | tuple):
        return [_identity(item) for item in value]
    if isinstance(value, dict):
        return {key: _identity(item) for key, item in value.items()}
    return value


def problem(
    what: str,
    *,
    path: Path = (),
    expected: str | None = None,
    found: str | None = None,
    hint: str | None = None,
) -> PydanticCustomError:
    """An error to raise inside a validator. ``path`` leads from the validated part to the culprit."""
    context = {"what": what, "path": list(path), "expected": expected, "found": found, "hint": hint}
    return PydanticCustomError("nnpipe", "{what}", context)


class Switch:
    """Lets ``true`` stand for a part with default options, and ``false`` for none: ``unroll: true``.

    >>> unroll: Annotated[Unroll | None, Switch()] = None
    """

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_before_validator_function(self._spelt_out, handler(source))

    def __get_pydantic_json_schema__(self, schema: Any, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return {"anyOf": [{"type": "boolean"}, *handler(schema["schema"])["anyOf"]]}

    @staticmethod
    def _spelt_out(data: Any) -> Any:
        return ({} if data else None) if isinstance(data, bool) else data


class Shorthand:
    """Lets a bare word stand for a component with default options: ``onnx`` for ``{kind: onnx}``.

    >>> export: tuple[Annotated[AnyExporter, Shorthand()], ...]
    """

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_before_validator_function(self._spelt_out, handler(source))

    def __get_pydantic_json_schema__(self, schema: Any, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        whole = handler(schema["schema"])
        kinds = sorted(whole.get("discriminator", {}).get("mapping", ()))
        return {"anyOf": [whole, {"type": "string", **({"enum": kinds} if kinds else {})}]}

    @staticmethod
    def _spelt_out(data: Any) -> Any:
        return {"kind": data} if isinstance(data, str) else data
