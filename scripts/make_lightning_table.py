"""Writes the line counts into docs/coming-from/lightning.md. ``--check`` only compares them.

Each task of examples/lightning_comparison is a program for Lightning and a plugin for zoo. Lines of code are counted:
no blank lines, comments and docstrings.
"""

from __future__ import annotations

import ast
import io
import sys
import tokenize
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "coming-from" / "lightning.md"
FOLDER = ROOT / "examples" / "lightning_comparison"
TASKS = {
    "classifier": "image classifier with accuracy and the best checkpoint",
    "gan": "GAN with two optimizers and generated images in the log",
    "fine_tuning": "fine-tuning of a network of timm whose first stages are frozen",
    "regression": "tabular regression with averaged weights, a cosine schedule, early stopping and the best checkpoint",
    "text": "language model of characters, which then writes a text",
}
BEGIN, END = "<!-- scripts/make_lightning_table.py -->\n", "<!-- end -->\n"
_NO_CODE = (tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER)


def lines_of_code(path: Path) -> int:
    """The number of lines that have code on them."""
    text = path.read_text(encoding="utf-8")
    tokens = [token for token in tokenize.generate_tokens(io.StringIO(text).readline) if token.type not in _NO_CODE]
    lines = {line for token in tokens for line in range(token.start[0], token.end[0] + 1)}
    return len(lines - docstring_lines(text))


def docstring_lines(text: str) -> set[int]:
    """The lines of the docstrings of a module, its classes and its functions."""
    kinds = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    nodes = [node for node in ast.walk(ast.parse(text)) if isinstance(node, kinds) and ast.get_docstring(node)]
    return {line for node in nodes for line in range(node.body[0].lineno, (node.body[0].end_lineno or 0) + 1)}


def counts() -> dict[str, tuple[int, int]]:
    """The lines of code of each task, with Lightning and with zoo."""
    files = {task: [FOLDER / f"{task}_{framework}.py" for framework in ("lightning", "zoo")] for task in TASKS}
    return {task: (lines_of_code(theirs), lines_of_code(ours)) for task, (theirs, ours) in files.items()}


def table() -> str:
    """The rows of the page."""
    rows = [f"| {TASKS[task]} | {theirs} | {ours} |" for task, (theirs, ours) in counts().items()]
    return "\n".join(["| task | Lightning | zoo |", "| --- | --- | --- |", *rows, ""])


def main() -> int:
    """Update the page, or say whether it is up to date."""
    page = PAGE.read_text(encoding="utf-8")
    before, rest = page.split(BEGIN)
    updated = f"{before}{BEGIN}\n{table()}\n{END}{rest.split(END)[1]}"
    if "--check" in sys.argv:
        return int(updated != page)
    PAGE.write_text(updated, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
