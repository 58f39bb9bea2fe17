"""The user's own modules: found by looking at files, read without running them, and imported when something is built.

A module is the user's if it lies neither with the installed packages nor in the standard library. What it imports of
the folder that it was found in is the user's too, and followed; everything else is a library. Only what was so found
can be imported from there, and always as it now stands in its file: what runs is what was fingerprinted.
"""

from __future__ import annotations

import ast
import sys
import sysconfig
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.abc import MetaPathFinder, SourceLoader
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType
from typing import Any

from nnpipe.errors import UsageError

LIBRARIES = {*sys.stdlib_module_names, "nnpipe"}
_IMPORTING = threading.RLock()  # what is imported, and how, is a matter of the whole process


@dataclass(frozen=True)
class Module:
    """A module that was found. file: its source, None where it has none to read; home: the folder it was found in."""

    name: str
    file: Path | None
    home: Path | None
    own: bool


def find(name: str, root: Path | None) -> Module | None:
    """The module called ``name``, looked for in ``root``, the folder of the spec, and where Python looks."""
    top = name.partition(".")[0]
    for folder in (*([root] if root else []), *map(Path.absolute, map(Path, sys.path))):
        file = source_file(folder, name)
        if file:
            return Module(name, file, folder, own=top not in LIBRARIES and not _installed(folder))
    # Whatever else Python can import; a folder without code of its own is nothing yet.
    specs = (finder.find_spec(top, None) for finder in sys.meta_path)
    return Module(name, None, None, own=False) if any(spec and spec.origin for spec in specs) else None


def source_file(folder: Path, name: str) -> Path | None:
    """The file of the module ``name`` under ``folder``."""
    path = folder.joinpath(*name.split("."))
    files = (path / "__init__.py", path.with_name(path.name + ".py"))
    return next((file for file in files if file.is_file()), None)


def parse(file: Path, data: bytes | None = None) -> ast.Module:
    """The syntax tree of a file, whose bytes are ``data`` if they were read already.

    Raises:
        UsageError: it is not Python, or cannot be read.
    """
    try:
        return ast.parse(file.read_bytes() if data is None else data)
    except SyntaxError as error:
        raise UsageError(f"not Python: {error.msg}", where=f"{file}:{error.lineno or 1}") from error
    except (OSError, ValueError) as error:
        raise UsageError("a module that cannot be read", where=str(file), found=str(error)) from error


def imported_names(tree: ast.AST, module: str, file: Path) -> Iterator[str]:
    """What may be a module of the imports in ``tree``, wherever they stand, by its whole name."""
    package = module.split(".")[: None if file.name == "__init__.py" else -1]
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) + 1 - node.level] if node.level else []
            start = [*above, *([node.module] if node.module else [])]
            yield from (".".join([*start, *more]) for more in ([], *([alias.name] for alias in node.names)) if start)


def reached(module: Module, read: Callable[[str, Path], Iterable[str]] | None = None) -> dict[str, Path]:
    """Name -> file of an own module, the packages it lies in, and all that they import of its home; sorted.

    read: the names that the module at a file imports; by default it is parsed.
    """
    if not module.own or module.home is None:
        return {}
    read = read or (lambda name, file: imported_names(parse(file), name, file))
    found: dict[str, Path] = {}
    waiting = [module.name]
    while waiting:
        name = waiting.pop()
        for whole in _with_packages(name):
            file = source_file(module.home, whole)
            if file and whole not in found and whole.partition(".")[0] not in LIBRARIES:
                found[whole] = file
                waiting += read(whole, file)
    return dict(sorted(found.items()))


@contextmanager
def importable(module: Module) -> Iterator[None]:
    """Let an own module, and all that is reached from it, be imported anew from the sources as they are now.

    One thread at a time. What was imported stays so afterwards: functions may import when they are called.
    """
    files = reached(module)
    if module.home is None or not files:
        yield
        return
    finder = _Finder(files)
    with _IMPORTING:
        for name in _of_packages(finder.names):
            del sys.modules[name]  # as another spec, or an earlier state of the file, left it
        sys.meta_path.insert(0, finder)
        try:
            yield
        finally:
            sys.meta_path.remove(finder)
            for name in _of_packages(finder.names):
                if hasattr(sys.modules[name], "__path__"):
                    sys.modules[name].__path__ = [str(module.home.joinpath(*name.split(".")))]


class _Source(SourceLoader):
    """Reads the source each time: compiled files are told apart by times too coarse for two edits in one second."""

    def __init__(self, file: Path) -> None:
        self._file = str(file)

    def get_filename(self, fullname: str) -> str:
        return self._file

    def get_data(self, path: str | bytes) -> bytes:
        return Path(self._file).read_bytes()

    def get_code(self, fullname: str) -> Any:
        return self.source_to_code(self.get_data(self._file), self._file)


class _Finder(MetaPathFinder):
    """Finds the given modules, and the packages above them that have no file, and nothing else."""

    def __init__(self, files: Mapping[str, Path]) -> None:
        self._files = files
        self.names = {package for name in files for package in _with_packages(name)}

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname not in self.names:
            return None
        file = self._files.get(fullname)
        package = file is None or file.name == "__init__.py"
        # A package gets no places to search: what this finder does not know cannot be imported from it.
        spec = ModuleSpec(
            fullname, _Source(file) if file else None, origin=str(file) if file else None, is_package=package
        )
        spec.has_location = file is not None
        return spec


def _of_packages(names: Iterable[str]) -> list[str]:
    """What was imported and lies in the outermost packages of ``names``."""
    outermost = {name.partition(".")[0] for name in names}
    return [name for name in list(sys.modules) if name.partition(".")[0] in outermost]


def _with_packages(name: str) -> list[str]:
    """``a``, ``a.b`` and ``a.b.c`` of ``a.b.c``."""
    parts = name.split(".")
    return [".".join(parts[:length]) for length in range(1, len(parts) + 1)]


def _installed(folder: Path) -> bool:
    folder = folder.resolve()
    libraries = (Path(sysconfig.get_path(name)) for name in ("stdlib", "platstdlib"))
    return bool({"site-packages", "dist-packages"} & {*folder.parts}) or folder in libraries
