"""All text for people is written by one module, which escapes control characters."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest
from repository import ROOT

SOURCES = sorted(
    path
    for folder in ("zoo_core", "zoo_plugins")
    for path in (ROOT / folder).rglob("*.py")
    if "template" not in path.parts and path != ROOT / "zoo_core" / "terminal.py"
)
WRITERS = {
    "print", "click.echo", "click.secho", "echo", "secho", "sys.stdout.write", "sys.stderr.write", "Console",
    "traceback.print_exc", "traceback.print_exception",
}  # fmt: skip


def written(tree: ast.AST) -> Iterator[int]:
    """The lines that write to a terminal, other than fixed bytes."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            name = ast.unparse(node.func)
            if name in WRITERS:
                yield node.lineno
            elif name == "os.write" and ast.unparse(node.args[0]) in ("1", "2"):
                yield from [] if isinstance(node.args[1], ast.Constant) else [node.lineno]


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_other_module_writes_to_the_terminal(path: Path) -> None:
    assert list(written(ast.parse(path.read_text(encoding="utf-8")))) == []


@pytest.mark.parametrize(
    "line", ["print(a)", "click.echo(a)", "sys.stderr.write(a)", "os.write(2, a)", "Console(stderr=True)"]
)
def test_such_a_line_is_found(line: str) -> None:
    assert list(written(ast.parse(line))) == [1]
    assert list(written(ast.parse("os.write(2, b'fixed')\nsay(a)\nself.print(a)"))) == []
