"""Every error that nnpipe raises on purpose: what was expected, what was found, where, what to do next.

NnpipeError               exit status 1
├── UsageError            2    the command line, or a call of the Python interface, is wrong
│   └── SpecError         2    the spec is wrong; names file, line and column
├── DataError             1    the user's data cannot be read, or is not what the spec says
├── StageError            1    a stage failed
├── StoreError            1    the store cannot be read or written
│   └── CorruptionError   3    bytes in the store are not the bytes that were written
└── Interrupted           130  the user or the system asked to stop; work is kept
"""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches
from typing import ClassVar


class NnpipeError(Exception):
    """An expected failure, written for the person who has to mend it.

    >>> print(NnpipeError("no such unit", where="a.yaml:3:5", expected="a whole number", found="'x'"))
    a.yaml:3:5: no such unit
      expected  a whole number
      found     'x'
    """

    exit_status: ClassVar[int] = 1

    def __init__(
        self,
        what: str,
        *,
        where: str | None = None,
        expected: str | None = None,
        found: str | None = None,
        hint: str | None = None,
    ) -> None:
        self.what, self.where = what, where
        self.expected, self.found, self.hint = expected, found, hint
        super().__init__(what)

    def __str__(self) -> str:
        head = f"{self.where}: {self.what}" if self.where else self.what
        details = {"expected": self.expected, "found": self.found, "hint": self.hint}
        return "\n".join([head, *(f"  {name:<9} {text}" for name, text in details.items() if text)])


class UsageError(NnpipeError, ValueError):
    """The command line or a call is wrong."""

    exit_status = 2


class SpecError(UsageError):
    """A spec is wrong. ``problems`` holds one error for each mistake that was found."""

    def __init__(self, problems: Iterable[NnpipeError]) -> None:
        self.problems = list(problems)
        first = self.problems[0]
        super().__init__(first.what, where=first.where, expected=first.expected, found=first.found, hint=first.hint)

    def __str__(self) -> str:
        return "\n".join(str(problem) for problem in self.problems)


class DataError(NnpipeError, ValueError):
    """The data cannot be read, or is not what the spec says."""


class StageError(NnpipeError, RuntimeError):
    """A stage could not produce its artifact."""


class StoreError(NnpipeError, OSError):
    """The store cannot be read or written."""

    # OSError formats itself from errno and strerror, which these errors do not have.
    __str__ = NnpipeError.__str__


class CorruptionError(StoreError):
    """Bytes in the store are not the bytes that were written."""

    exit_status = 3


class Interrupted(NnpipeError):
    """Somebody asked to stop; what was finished and the last checkpoint are kept."""

    exit_status = 130


def nearest(name: object, names: Iterable[str]) -> str | None:
    """A hint with the valid name most like ``name``, or with all of them if none is like it."""
    known = sorted(names)
    close = get_close_matches(str(name), known, n=1, cutoff=0.55)
    if close:
        return f"did you mean {close[0]!r}?"
    return "one of " + ", ".join(known) if known else None
