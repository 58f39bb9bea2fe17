"""One value, one sequence of bytes, one digest: canonical JSON and domain-tagged SHA-256.

Equal values give equal bytes in every process, on every machine, for every hash seed. What has no single
JSON form (sets, NaN, arrays, objects) is an error, never a guess; nothing is hashed through pickle.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any

JSON = Any  # what json.loads returns: None, bool, int, float, str, list, dict with string keys


def canonical_json(value: JSON) -> bytes:
    """``value`` as UTF-8 JSON with sorted keys and no spaces.

    Raises:
        TypeError: a value has no single JSON form.
        ValueError: a number is NaN or infinite.
    """
    _check(value, "$")
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return text.encode()


def digest(domain: str, value: JSON) -> str:
    """SHA-256, in hex, of ``value`` within ``domain``: equal values of different meaning differ."""
    return hashlib.sha256(domain.encode() + b"\0" + canonical_json(value)).hexdigest()


def _check(value: JSON, where: str) -> None:
    if isinstance(value, dict):
        for key, item in value.items():
            if not isinstance(key, str):
                raise TypeError(f"{where}: a key of canonical JSON is a string, not {key!r}")
            _check(item, f"{where}.{key}")
    elif isinstance(value, list | tuple):
        for index, item in enumerate(value):
            _check(item, f"{where}[{index}]")
    elif not (value is None or type(value) in (bool, int, float, str)):
        raise TypeError(f"{where}: {type(value).__name__} has no canonical JSON form")
