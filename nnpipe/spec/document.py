"""A YAML document that remembers where each value stands, and takes overrides from the command line.

Reading executes nothing: a document is data made of mappings, lists, text, numbers and truth values, of bounded
size and depth.
"""

from __future__ import annotations

import copy
from pathlib import Path as FilePath
from typing import Any

from nnpipe.errors import NnpipeError, SpecError, UsageError
from nnpipe.spec.part import Path

MAX_BYTES = 1 << 20
MAX_DEPTH = 30
MAX_VALUES = 100_000  # after aliases are followed


class Document:
    """What a file says: ``data``, and the line and column (from 1) of every key and value."""

    def __init__(self, name: str, data: Any = None) -> None:
        self.name = name
        self.data = data
        self._keys: dict[Path, tuple[int, int]] = {}
        self._values: dict[Path, tuple[int, int]] = {}
        self._overridden: dict[Path, str | Path] = {}  # by what, in words, or by which place in this document

    @classmethod
    def read(cls, path: FilePath) -> Document:
        """Read a file.

        Raises:
            SpecError: it is not there, not YAML, too large or too deep; names line and column.
        """
        try:
            text = path.read_bytes()
        except OSError as error:
            hint = None
            if path.parent.is_dir() and not path.exists():
                from nnpipe.errors import nearest

                hint = nearest(path.name, [p.name for p in path.parent.iterdir() if p.suffix in (".yaml", ".yml")])
            raise SpecError(
                [NnpipeError(f"cannot read the spec: {error.strerror}", where=str(path), hint=hint)]
            ) from error
        if len(text) > MAX_BYTES:
            raise SpecError(
                [
                    NnpipeError(
                        "too large for a spec", where=str(path), expected="at most 1 MiB", found=f"{len(text)} bytes"
                    )
                ]
            )
        return cls.parse(text, str(path))

    @classmethod
    def parse(cls, text: str | bytes, name: str = "spec") -> Document:
        """Parse YAML 1.2; duplicate keys are errors."""
        from ruamel.yaml import YAML
        from ruamel.yaml.error import MarkedYAMLError, YAMLError

        document = cls(name)
        try:
            tree = YAML(typ="rt").load(text)
        except MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            where = f"{name}:{mark.line + 1}:{mark.column + 1}" if mark else name
            raise SpecError([NnpipeError(f"not YAML: {error.problem or error.context}", where=where)]) from error
        except (YAMLError, UnicodeDecodeError, ValueError) as error:
            raise SpecError([NnpipeError(f"not YAML: {error}", where=name)]) from error
        except RecursionError as error:
            raise SpecError([NnpipeError("nested too deeply", where=name, expected=f"{MAX_DEPTH} levels")]) from error
        document._values[()] = (1, 1)
        document.data = document._plain(tree, ())
        return document

    def override(self, assignment: str) -> None:
        """Set one value, as ``train.optimizer.learning_rate=0.01`` or ``model.layers.0.units=64`` says.

        Raises:
            UsageError: it is not KEY=VALUE, or the key leads through something that has no keys.
        """
        key, equals, text = assignment.partition("=")
        if not equals or not key.strip():
            raise UsageError(f"--set {assignment}", expected="KEY=VALUE", found=assignment)
        value = Document.parse(text, f"--set {key}").data if text.strip() else None
        self.put(field_path(key), value, f"--set {assignment}")

    def put(self, path: Path, value: Any, source: str | Path) -> None:
        """Set the value at ``path``; mappings on the way that are not there are made.

        source: where the value comes from, in words or as a place in this document: mistakes in it are told there.

        Raises:
            UsageError: the path leads through something that has no keys.
        """
        node, place = self.data, path
        for depth, word in enumerate(path):
            last = depth == len(path) - 1
            if isinstance(node, dict):  # a number is a key too
                place = (*place[:depth], str(word), *place[depth + 1 :])
            if isinstance(node, list) and isinstance(word, int) and word < len(node):
                if last:
                    node[word] = value
            elif isinstance(node, dict):
                if last:
                    node[str(word)] = value
                elif node.get(str(word)) is None:
                    node[str(word)] = {}
                    self._overridden[place[: depth + 1]] = source
            else:
                raise UsageError(
                    f"{source if isinstance(source, str) else '.'.join(map(str, path))}: "
                    f"there is no {'.'.join(map(str, path[: depth + 1]))}",
                    where=self.name if isinstance(source, str) else self.where(source, key=True),
                    found=f"{'.'.join(map(str, path[:depth])) or 'the spec'} is {describe(node)}",
                )
            if not last:
                node = node[word if isinstance(node, list) else str(word)]
        self._overridden[place] = source

    def copy(self) -> Document:
        """Another document that says the same, to change."""
        other = Document(self.name, copy.deepcopy(self.data))
        other._keys, other._values, other._overridden = self._keys, self._values, dict(self._overridden)
        return other

    def where(self, path: Path, *, key: bool = False) -> str:
        """``file:line:column`` of the value at ``path`` (of its key if asked), or of the nearest thing above it."""
        for length in range(len(path), -1, -1):
            source = self._overridden.get(path[:length])
            if isinstance(source, str):
                return source
            if source is not None:
                return self.where(source + path[length:], key=key)
        if key and path and isinstance(path[-1], int):  # an item has the key of its list
            path = path[:-1]
        for length in range(len(path), -1, -1):
            places = self._keys if key and length == len(path) else self._values
            if path[:length] in places:
                line, column = places[path[:length]]
                return f"{self.name}:{line}:{column}"
        return self.name

    def stands_in(self, path: Path, where: str) -> bool:
        """Whether ``where`` is the place of something at ``path`` or below it."""
        places = (at for table in (self._keys, self._values) for p, at in table.items() if p[: len(path)] == path)
        return any(where == f"{self.name}:{line}:{column}" for line, column in places)

    def value(self, path: Path) -> Any:
        """The value at ``path``; KeyError if there is none."""
        node = self.data
        for word in path:
            try:
                node = node[word]
            except (IndexError, TypeError):
                raise KeyError(word) from None
        return node

    def _plain(self, node: Any, path: Path) -> Any:
        if len(path) > MAX_DEPTH or len(self._values) > MAX_VALUES:
            what = "nested too deeply" if len(path) > MAX_DEPTH else "aliases that grow too large"
            raise SpecError(
                [NnpipeError(what, where=self.where(path), expected=f"{MAX_DEPTH} levels, {MAX_VALUES} values")]
            )
        if getattr(getattr(node, "tag", None), "value", None) is not None:
            raise self._no_place(path, f"the tag {node.tag.value}")
        if isinstance(node, dict):
            for key in node:
                self._note(self._values, (*path, str(key)), node, "value", key)
                self._note(self._keys, (*path, str(key)), node, "key", key)
            return {str(key): self._plain(value, (*path, str(key))) for key, value in node.items()}
        if isinstance(node, list):
            for index in range(len(node)):
                self._note(self._values, (*path, index), node, "item", index)
            return [self._plain(value, (*path, index)) for index, value in enumerate(node)]
        return self._scalar(node, path)

    def _scalar(self, node: Any, path: Path) -> Any:
        for kind in (bool, int, float, str):  # ruamel.yaml's own subclasses remember how a value was written
            if isinstance(node, kind):
                return kind(node)
        if node is None:
            return None
        raise self._no_place(path, f"{node!r} ({type(node).__name__})")

    def _note(self, places: dict[Path, tuple[int, int]], path: Path, node: Any, what: str, word: Any) -> None:
        try:
            line, column = getattr(node.lc, what)(word)  # where ruamel.yaml found it, from 0
        except (TypeError, KeyError):  # in a list or mapping that contains itself
            line, column = node.lc.line, node.lc.col
        places[path] = (line + 1, column + 1)

    def _no_place(self, path: Path, found: str) -> SpecError:
        problem = NnpipeError(
            f"{'.'.join(map(str, path))}: a value of this kind has no place in a spec",
            where=self.where(path),
            expected="text, a number, true, false, a list or a mapping",
            found=found,
            hint="put it in quotes if it is text",
        )
        return SpecError([problem])


def field_path(key: str) -> Path:
    """The path of a field by the name that ``--set`` has for it: ``model.layers.0.units``."""
    return tuple(int(word) if word.isdigit() else word for word in key.strip().split("."))


def describe(value: Any) -> str:
    """A value as an error shows it: short, and with its kind where that is the mistake."""
    if isinstance(value, dict):
        return f"a mapping with {', '.join(map(str, value)) or 'nothing in it'}"
    if isinstance(value, list):
        return f"a list of {len(value)}"
    if value is None:
        return "nothing"
    text = repr(value) if isinstance(value, str) else str(value).lower() if isinstance(value, bool) else str(value)
    return text if len(text) <= 80 else text[:77] + "..."
