from __future__ import annotations

import subprocess
import sys

import pytest

from nnpipe.store.canonical import canonical_json, digest


def test_equal_mappings_have_equal_bytes_whatever_their_order() -> None:
    assert canonical_json({"b": 1, "a": [1.5, None, True]}) == b'{"a":[1.5,null,true],"b":1}'
    assert canonical_json({"a": [1.5, None, True], "b": 1}) == canonical_json({"b": 1, "a": [1.5, None, True]})


@pytest.mark.parametrize("value", [{1, 2}, object(), b"bytes", {1: "key"}, {"deep": [{"x": {3}}]}])
def test_what_has_no_single_form_is_an_error(value: object) -> None:
    with pytest.raises(TypeError):
        canonical_json(value)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_numbers_that_are_not_finite_are_an_error(value: float) -> None:
    with pytest.raises(ValueError, match="JSON"):
        canonical_json(value)


def test_the_same_value_in_another_domain_has_another_digest() -> None:
    assert digest("nnpipe/recipe/1", {"a": 1}) != digest("nnpipe/content/1", {"a": 1})


def test_digests_are_pinned() -> None:
    # If this fails, every store in the world is computed anew: raise the version in the domain instead.
    expected = "1a761ab737628ec1e63bc3ecd3165208f1f26e5b65eb682fcfd58b169b5a286d"
    assert digest("nnpipe/recipe/1", {"stage": "ingest", "seed": 0, "inputs": {}}) == expected


@pytest.mark.parametrize("hash_seed", ["0", "1", "random"])
def test_digests_do_not_depend_on_the_process(hash_seed: str) -> None:
    code = "from nnpipe.store.canonical import digest; print(digest('d', {'b': {'y': 1, 'x': 2}, 'a': [1.0, 'é']}))"
    done = subprocess.run(
        [sys.executable, "-c", code], env={"PYTHONHASHSEED": hash_seed}, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == digest("d", {"a": [1.0, "é"], "b": {"x": 2, "y": 1}})
