"""The layout of the code: few entries in ``zoo_core``, documented packages, short files."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
from repository import ROOT

CORE = ROOT / "zoo_core"
SOURCES = sorted(path for folder in ("zoo_core", "zoo_plugins") for path in (ROOT / folder).rglob("*.py"))
PACKAGES = sorted(path for path in CORE.rglob("__init__.py") if path.parent != CORE and "template" not in path.parts)
MOST_ENTRIES = 26
MOST_LINES = 280
MOST_LINES_OF_RUNNER = 250


def test_zoo_core_has_few_entries() -> None:
    entries = [path.name for path in CORE.iterdir() if path.name != "__pycache__"]
    assert len(entries) <= MOST_ENTRIES, sorted(entries)


@pytest.mark.parametrize("path", PACKAGES, ids=lambda path: str(path.parent.relative_to(ROOT)))
def test_the_docstring_of_a_package_is_one_paragraph_about_its_purpose_and_imports(path: Path) -> None:
    docstring = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
    assert docstring
    assert "\n\n" not in docstring
    assert "may import" in " ".join(docstring.split())


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_file_is_short_but_for_its_docstrings(path: Path) -> None:
    assert lines_without_docstrings(path) <= MOST_LINES


def lines_without_docstrings(path: Path) -> int:
    text = path.read_text(encoding="utf-8")
    kinds = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    nodes = [node for node in ast.walk(ast.parse(text)) if isinstance(node, kinds) and ast.get_docstring(node)]
    return len(text.splitlines()) - sum((node.body[0].end_lineno or 0) - node.body[0].lineno + 1 for node in nodes)


def test_the_runner_only_composes() -> None:
    runner = CORE / "training" / "runner.py"
    assert len(runner.read_text(encoding="utf-8").splitlines()) <= MOST_LINES_OF_RUNNER
