"""What was measured, kept: docs/performance.json has every figure, docs/performance.md the tables.

Of the page only what stands between the two marks is written here; all else in it is written by people, and stays.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from pydantic import TypeAdapter

from benchmarks.apart import Outcome
from benchmarks.measure import HEADINGS, Table

OUTCOMES = TypeAdapter(dict[str, Outcome])
BEGIN = "<!-- what follows is written by python -m benchmarks -->"
END = "<!-- what came before is written by python -m benchmarks -->"
LIMITS = "What limits"  # what people write of a benchmark that misses a target has this and its name as a heading


def keep(folder: Path, new: Mapping[str, Outcome]) -> list[str]:
    """Put outcomes in the place of earlier ones of the same names, in both files; not of what is absent here.

    Returns the names of new ones that miss a target, and of which the page does not say what limits them.
    """
    folder.mkdir(parents=True, exist_ok=True)
    figures, page = folder / "performance.json", folder / "performance.md"
    earlier = OUTCOMES.validate_json(figures.read_bytes()) if figures.exists() else {}
    outcomes = earlier | {name: outcome for name, outcome in new.items() if not outcome.absent}
    figures.write_bytes(OUTCOMES.dump_json(outcomes, indent=1, exclude_defaults=True) + b"\n")
    text = page.read_text() if page.exists() else f"# Performance\n\n{BEGIN}\n{END}\n"
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    page.write_text(f"{before}{BEGIN}\n\n{generated(outcomes, text)}\n{END}{after}")
    return [name for name, outcome in new.items() if missed(outcome) and heading(name) not in text]


def heading(name: str) -> str:
    """Of what people write of a benchmark."""
    return f"### {LIMITS} {name}"


def missed(outcome: Outcome) -> bool:
    """Whether one of its targets is."""
    return outcome.result is not None and any(row.met is False for row in outcome.result.rows)


def generated(outcomes: Mapping[str, Outcome], page: str) -> str:
    """The tables in Markdown, machine by machine. page: what it links into, where people have written something."""
    machines: dict[str, dict[str, Outcome]] = {}
    for name, outcome in outcomes.items():
        told = "; ".join(f"{key} {fact}" for key, fact in outcome.machine.items())
        machines.setdefault(told, {})[name] = outcome
    return "\n".join(line for told, own in machines.items() for line in _of_a_machine(told, own, page))


def _of_a_machine(told: str, outcomes: Mapping[str, Outcome], page: str) -> list[str]:
    lines = [f"## On {told}" if told else "## Not measured", ""]
    lines += markdown(Table("", ("benchmark", *HEADINGS), tuple(summary(outcomes))))
    for name, outcome in outcomes.items():
        lines += ["", f"### {name}", "", *_about(name, outcome, page)]
        for table in outcome.result.tables if outcome.result else ():
            lines += ["", f"{table.title}", "", *markdown(table)]
    return [*lines, ""]


def _about(name: str, outcome: Outcome, page: str) -> list[str]:
    if outcome.result is None:
        return [outcome.problem or outcome.absent]
    lines = [
        outcome.result.conditions,
        f"{outcome.date}, `{outcome.command}`, {outcome.seconds:.0f} s; {outcome.threads} threads; "
        f"load {outcome.load:g} before it began.",
    ]
    if missed(outcome) and heading(name) in page:
        lines.append(f"[{LIMITS} it](#{heading(name).strip('# ').lower().replace(' ', '-')}).")
    return lines


def summary(outcomes: Mapping[str, Outcome]) -> list[tuple[str, ...]]:
    """The rows of all benchmarks; those that failed have a row, too. Columns: the name, and ``HEADINGS``."""
    rows: list[tuple[str, ...]] = []
    for name, outcome in outcomes.items():
        if outcome.result is not None:
            rows += [(name, *row.cells()) for row in outcome.result.rows]
        else:
            told = f"failed: {outcome.problem}" if outcome.problem else f"not here: {outcome.absent}"
            rows.append((name, *[""] * (len(HEADINGS) - 1), told))
    return rows


def markdown(table: Table) -> list[str]:
    """Lines of a table in Markdown."""
    rows = [table.columns, tuple("---" for _ in table.columns), *table.cells]
    return [f"| {' | '.join(cell.replace('|', '/').replace(chr(10), ' ') for cell in row)} |" for row in rows]
