"""Values of a spec as people read them in a table or a sentence."""

from __future__ import annotations

from typing import Any


def words(value: Any) -> str:
    """A value as YAML writes it in one line; text without quotes."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {words(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(words, value)) + "]"
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    return str(value)
