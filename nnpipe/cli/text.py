"""Numbers, times and tables as a terminal shows them; plain text, no colour, no library."""

from __future__ import annotations

import shutil
import textwrap
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import Any

SHORT = 10  # characters of a digest that are shown
UNLIMITED = 10_000  # columns, where nobody reads on a terminal


def width() -> int:
    """Columns of the terminal; without one, as many as are needed."""
    return shutil.get_terminal_size((UNLIMITED, 24)).columns


def folded(lines: Iterable[object]) -> list[str]:
    """Lines that fit the terminal: what goes on below is indented."""
    return [part for line in lines for part in textwrap.wrap(str(line), width(), subsequent_indent="  ")]


def table(header: Sequence[str], rows: Sequence[Sequence[str]], align: str) -> list[str]:
    """Lines with aligned columns. ``align``: one letter a column, ``<`` or ``>``."""
    widths = [max(map(len, column)) for column in zip(header, *rows, strict=True)]
    return [
        "  ".join(f"{cell:{side}{width}}" for cell, side, width in zip(row, align, widths, strict=True)).rstrip()
        for row in (header, *rows)
    ]


def duration(seconds: float | None) -> str:
    """``0.42s``, ``4.2s``, ``43s``, ``7m 12s``, ``3h 05m``; a dash for None."""
    if seconds is None:
        return "-"
    if seconds < 9.95:
        return f"{seconds:.2f}s" if seconds < 0.995 else f"{seconds:.1f}s"
    whole = round(seconds)
    if whole < 100:
        return f"{whole}s"
    if whole < 3600:
        return f"{whole // 60}m {whole % 60:02}s"
    return f"{whole // 3600}h {whole % 3600 // 60:02}m"


def clock(seconds: float) -> str:
    """Time that is left: ``0:23``, ``1:02:03``."""
    whole = round(seconds)
    minutes = f"{whole // 60 % 60}:{whole % 60:02}"
    return minutes if whole < 3600 else f"{whole // 3600}:{minutes:0>5}"


def per_sample(seconds: float) -> str:
    """Time an example took: ``717us/sample``, ``3ms/sample``."""
    for unit, scale in (("us", 1e6), ("ms", 1e3)):
        if seconds * scale < 999.5:
            return f"{seconds * scale:.0f}{unit}/sample"
    return f"{seconds:.1f}s/sample"


def size(count: int) -> str:
    """A number of bytes: ``812 B``, ``1.7 MB`` (powers of 1000)."""
    amount, unit = float(count), "B"
    for unit in ("B", "kB", "MB", "GB", "TB"):  # noqa: B007 - the unit it ends with
        if amount < 999.5:
            break
        amount /= 1000
    return f"{count} B" if unit == "B" else f"{amount:.1f} {unit}" if amount < 99.95 else f"{amount:.0f} {unit}"


def when(moment: str | None) -> str:
    """A moment in ISO 8601, as the local clock showed it."""
    return f"{datetime.fromisoformat(moment).astimezone():%Y-%m-%d %H:%M}" if moment else "-"


def measure(value: float) -> str:
    """A loss or an accuracy: four places, or four digits where it is tiny."""
    return f"{value:.4f}" if value == 0 or abs(value) > 1e-3 else f"{value:.4e}"


def measures(values: dict[str, float]) -> str:
    """``test accuracy 0.9806   test loss 0.0712``."""
    return "   ".join(f"{name.replace('_', ' ')} {measure(value)}" for name, value in values.items())


def dotted(value: Any, name: str = "") -> Iterator[tuple[str, str]]:
    """Fields of nested JSON by the names that ``--set`` knows them by: ``train.epochs``, ``3``."""
    items: Any = ()
    if isinstance(value, dict):
        items = value.items()
    elif isinstance(value, list) and any(isinstance(item, dict | list) for item in value):
        items = enumerate(value)
    for key, item in items:
        yield from dotted(item, f"{name}.{key}" if name else str(key))
    if not items:
        yield name, _inline(value)


def _inline(value: Any) -> str:
    if isinstance(value, list):
        return f"[{', '.join(map(_inline, value))}]"
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    return f"{value:.6g}" if isinstance(value, float) else str(value)
