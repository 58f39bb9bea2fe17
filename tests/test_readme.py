from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[1]


def test_the_tree_in_the_readme_has_every_file_of_the_code() -> None:
    tree = (ROOT / "README.md").read_text().partition("## The code, file by file")[2].partition("## ")[0]
    stack: list[str] = []
    found = set()
    for indent, name in re.findall(r"^( *)([\w./]+) {2,}\S", tree, flags=re.MULTILINE):
        stack = [*stack[: len(indent) // 2], name.rstrip("/")]
        found.add("/".join(stack))
    files = [path for base in ("nnpipe", "flows") for path in (ROOT / base).rglob("*.py")]
    wanted = {path.relative_to(ROOT).as_posix() for path in files if path.name != "__init__.py"}
    assert {name for name in found if name.endswith(".py")} == wanted


def test_the_spec_in_the_readme_is_the_starter() -> None:
    readme = (ROOT / "README.md").read_text()
    assert (ROOT / "specs" / "digits.yaml").read_text().strip() in readme


def test_every_file_that_the_readme_links_to_is_there() -> None:
    for target in re.findall(r"\]\((?!https?:)([^)#]+)\)", (ROOT / "README.md").read_text()):
        assert (ROOT / target).exists(), target
