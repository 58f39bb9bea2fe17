"""Fingerprints of code: the syntax of the modules that a stage's result can depend on.

Followed from the stage's own module and the modules of the components that its part of the spec chose, along every
import of project modules, wherever in a module it stands. Not followed: the lists of components (a package's
``__init__``): a component that was not chosen cannot change the result; and what only carries bytes and messages.
Comments, docstrings and layout do not count.
"""

from __future__ import annotations

import ast
import hashlib
import importlib.util
from collections.abc import Iterable, Iterator
from pathlib import Path

from nnpipe.pipeline.graph import Stage
from nnpipe.spec import Part
from nnpipe.store.canonical import JSON
from nnpipe.store.memo import Memo

PROJECT = "nnpipe"
# What moves bytes and words but computes nothing; a change of the store's formats has version numbers of its own.
CARRIERS = ("nnpipe.errors", "nnpipe.spec", "nnpipe.store", "nnpipe.stages.work", "nnpipe.training.watch")


def fingerprint(stage: Stage, memo: Memo) -> dict[str, str]:
    """Module -> digest of its syntax, for every module that can change the result of ``stage``."""
    found: dict[str, str] = {}
    waiting = {stage.function.partition(":")[0], *_modules_of(stage.config)}
    while waiting:
        module = waiting.pop()
        if module in found or not _counts(module):
            continue
        found[module], imported = _syntax(module, memo)
        waiting.update(imported)
    return found


def _modules_of(part: Part) -> Iterator[str]:
    yield type(part).__module__
    for name in type(part).model_fields:
        value = getattr(part, name)
        for item in value if isinstance(value, tuple) else (value,):
            if isinstance(item, Part):
                yield from _modules_of(item)


def _counts(module: str) -> bool:
    return not any(module == carrier or module.startswith(carrier + ".") for carrier in CARRIERS)


def _syntax(module: str, memo: Memo) -> tuple[str, list[str]]:
    """The digest of a module's syntax, and the project modules it imports."""
    source = _file(module)
    data = source.read_bytes()
    key = f"syntax/1:{module}:{hashlib.sha256(data).hexdigest()}"
    known = memo.get(key)
    if known is None:
        tree = ast.parse(data)
        known = [hashlib.sha256(repr(_canonical(tree)).encode()).hexdigest(), sorted(set(_imports(tree)))]
        memo.put(key, known)
    return known[0], known[1]


def _file(module: str) -> Path:
    # find_spec of a submodule imports its packages, which are light; the module itself is not imported.
    found = importlib.util.find_spec(module)
    if found is None or found.origin is None:
        raise ModuleNotFoundError(f"the source of {module} cannot be found", name=module)
    return Path(found.origin)


def _canonical(node: object) -> JSON:
    """A syntax tree as nested lists; the same for every version of Python that reads the same meaning."""
    if isinstance(node, ast.AST):
        fields: list[JSON] = [type(node).__name__]
        for name, value in ast.iter_fields(node):
            if name in ("type_ignores", "type_comment", "kind") or value is None or value == []:
                continue
            if name == "body" and isinstance(value, list):
                value = _without_docstring(value)
            fields.append([name, _canonical(value)])
        return fields
    if isinstance(node, list):
        return [_canonical(item) for item in node]
    return [type(node).__name__, repr(node)]


def _without_docstring(body: list[ast.stmt]) -> list[ast.stmt]:
    first = body[0]
    says_nothing = isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant)
    return body[1:] if says_nothing and isinstance(first.value.value, str) else body  # type: ignore[attr-defined]


def _imports(tree: ast.AST) -> Iterable[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names: list[str] = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        else:
            continue
        for name in names:
            if name.split(".")[0] == PROJECT and _is_module(name):
                yield name


def _is_module(name: str) -> bool:
    """Whether ``name`` is a module with code of its own: not a name inside one, not a list of components."""
    path = Path(__file__).parents[1].joinpath(*name.split(".")[1:])
    return path.with_suffix(".py").is_file()
