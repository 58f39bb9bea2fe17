"""Fingerprints of code: the syntax of the modules that a stage's result can depend on.

Followed from the stage's own module and the modules of the components that its part of the spec chose, along every
import of project modules, wherever in a module it stands. Not followed: the lists of components (a package's
``__init__``): a component that was not chosen cannot change the result; and what only carries bytes and messages.
Comments, docstrings, layout and the order of neighbouring imports do not count. Of a module each definition has its own
digest, so that a change can be named; every statement is in exactly one of them, and where it stands in ``(order)``.

A layer of the user's own is followed in the same way through the modules that are the user's too; what they import of
the project counts as well. See ``nnpipe.models.own_modules``.
"""

from __future__ import annotations

import ast
import copy
import hashlib
import importlib.util
from collections.abc import Callable, Iterable, Iterator
from functools import cache
from itertools import groupby
from pathlib import Path
from typing import TypeGuard

from nnpipe.models.own_modules import imported_names, parse, reached
from nnpipe.pipeline.graph import Stage
from nnpipe.spec import Part
from nnpipe.store.canonical import JSON
from nnpipe.store.memo import Memo

PROJECT = "nnpipe"
MODULE, ORDER = "(module)", "(order)"  # the statements of a module that define nothing; which definition follows which
# What moves bytes and words but computes nothing; a change of the store's formats has version numbers of its own.
CARRIERS = ("nnpipe.errors", "nnpipe.spec", "nnpipe.store", "nnpipe.stages.work", "nnpipe.training.watch")

_parsed: dict[str, JSON] = {}  # what this process learnt of modules: a store that is new remembers nothing yet


def fingerprint(stage: Stage, memo: Memo) -> dict[str, dict[str, str]]:
    """Module -> definition -> digest of its syntax, for every module that can change the result of ``stage``.

    A package of the user's is called ``package.__init__``, as its file is.

    Raises:
        UsageError: a module of the user's own cannot be read.
    """
    found: dict[str, dict[str, str]] = {}
    parts = list(_parts(stage.config))
    waiting = {stage.function.partition(":")[0], *(type(part).__module__ for part in parts)}
    for part in parts:
        if module := part.own_module():
            for name, file in reached(module, lambda name, file: _own_syntax(name, file, memo)[1]).items():
                found[name if file.stem != "__init__" else f"{name}.__init__"], imported = _own_syntax(name, file, memo)
                waiting.update(name for name in imported if _is_projects(name))
    while waiting:
        module_name = waiting.pop()
        if module_name in found or not _counts(module_name):
            continue
        found[module_name], imported = _syntax(module_name, memo)
        waiting.update(imported)
    return found


def _parts(part: Part) -> Iterator[Part]:
    """``part`` and every part inside it."""
    yield part
    for name in type(part).model_fields:
        value = getattr(part, name)
        for item in value if isinstance(value, tuple) else (value,):
            if isinstance(item, Part):
                yield from _parts(item)


def _counts(module: str) -> bool:
    return not any(module == carrier or module.startswith(carrier + ".") for carrier in CARRIERS)


def _syntax(module: str, memo: Memo) -> tuple[dict[str, str], list[str]]:
    """The digests of a module's definitions, and the project modules it imports."""
    file = _file(module)
    return _remembered(f"syntax/3:{module}", file, memo, lambda tree: filter(_is_projects, _imports(tree)))


def _own_syntax(module: str, file: Path, memo: Memo) -> tuple[dict[str, str], list[str]]:
    """The digests of the definitions of a module of the user's, and all that it may import."""
    package = "package" if file.stem == "__init__" else "module"  # whose relative imports mean other things
    return _remembered(f"own/1:{package}:{module}", file, memo, lambda tree: imported_names(tree, module, file))


def _remembered(
    key: str, file: Path, memo: Memo, imports: Callable[[ast.Module], Iterable[str]]
) -> tuple[dict[str, str], list[str]]:
    data = file.read_bytes()
    key = f"{key}:{hashlib.sha256(data).hexdigest()}"
    known = memo.get(key)
    if known is None:
        known = _parsed.get(key)
        if known is None:
            tree = parse(file, data)
            known = _parsed[key] = [definitions(tree), sorted(set(imports(tree)))]
        memo.put(key, known)
    return known[0], known[1]


def definitions(tree: ast.Module) -> dict[str, str]:
    """Name -> digest: functions, classes, ``Class.method``; the rest of the module; and the order of them all."""
    owned: dict[str, list[JSON]] = {MODULE: []}
    order = []
    for owner, statement in _statements(tree):
        owned.setdefault(owner, []).append(statement)
        order.append(owner)
    return {owner: _digest(syntax) for owner, syntax in (*owned.items(), (ORDER, order))}


def _statements(tree: ast.Module) -> Iterator[tuple[str, JSON]]:
    """Every statement of a module in order, with the name of the definition it belongs to."""
    for node in _imports_sorted(_without_docstring(tree.body)):
        if isinstance(node, ast.ClassDef):
            head = copy.copy(node)
            head.body = []
            yield node.name, _canonical(head)
            for inner in _without_docstring(node.body):
                yield f"{node.name}.{inner.name}" if _is_function(inner) else node.name, _canonical(inner)
        else:
            yield node.name if _is_function(node) else MODULE, _canonical(node)


def _is_function(node: ast.stmt) -> TypeGuard[ast.FunctionDef | ast.AsyncFunctionDef]:
    return isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)


def _imports_sorted(body: list[ast.stmt]) -> Iterator[ast.stmt]:
    for imports, nodes in groupby(body, lambda node: isinstance(node, ast.Import | ast.ImportFrom)):
        run = list(nodes)
        yield from sorted(run, key=lambda node: repr(_canonical(node))) if imports else run


def _digest(syntax: JSON) -> str:
    return hashlib.sha256(repr(syntax).encode()).hexdigest()


@cache
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
            if isinstance(node, ast.JoinedStr):  # early 3.12 ends a nested format with an empty text
                value = [piece for piece in value if not (isinstance(piece, ast.Constant) and piece.value == "")]
            fields.append([name, _canonical(value)])
        return fields
    if isinstance(node, list):
        return [_canonical(item) for item in node]
    # What repr calls printable grows with Python's edition of Unicode.
    return [type(node).__name__, ascii(node)]


def _without_docstring(body: list[ast.stmt]) -> list[ast.stmt]:
    match body:
        case [ast.Expr(value=ast.Constant(value=str())), *rest]:
            return rest
    return body


def _imports(tree: ast.AST) -> Iterable[str]:
    """The names that a module imports wherever it runs; what is there for type checkers alone never does."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            yield from (node.module, *(f"{node.module}.{alias.name}" for alias in node.names))
        elif isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
            for otherwise in node.orelse:
                yield from _imports(otherwise)
        else:
            yield from _imports(node)


def _is_projects(name: str) -> bool:
    """Whether ``name`` is a project module with code of its own: not a name inside one, not a list of components."""
    package, *rest = name.split(".")
    return package == PROJECT and Path(__file__).parents[1].joinpath(*rest).with_suffix(".py").is_file()
