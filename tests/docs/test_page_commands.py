"""The pages show commands, options, recipes and settings that exist, and Python code that runs."""

import re
import shlex
import subprocess
import sys
from importlib.util import find_spec

import click
import pytest
from repository import ROOT

from zoo_core.cli import cli
from zoo_core.registry.catalog import default
from zoo_core.registry.resolve import resolve

DOCS = ROOT / "docs"
ALL_PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted(DOCS.rglob("*.md"))]
EXECUTED_PAGES = [DOCS / "gallery.md", DOCS / "top.md", *sorted((DOCS / "coming-from").glob("*.md"))]
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
# Placeholders that the reader fills in, and plugins that are not installed here.
PLACEHOLDER = re.compile(r"\b(NAME|FOLDER|TIME)\b|\b(my|smp|timm|vae)-|\bcheck vae\b|--resume runs/|--resume last")


def blocks(pages, *languages):
    """The code blocks of the pages; "" is the language of a block without one."""
    found = [block for page in pages for block in BLOCK.findall(page.read_text(encoding="utf-8"))]
    return [code for language, code in found if language in languages]


def commands():
    """Every line of a code block that starts with zoo; a line that ends in a backslash continues."""
    lines = [line for code in blocks(ALL_PAGES, "", "bash") for line in code.replace("\\\n", " ").splitlines()]
    return sorted({" ".join(line.split()) for line in lines if line.startswith("zoo ")})


def test_most_commands_on_the_pages_have_no_placeholder():
    parsed = [line for line in commands() if not PLACEHOLDER.search(line)]
    assert len(parsed) > 40
    assert len(parsed) > len(commands()) // 2


@pytest.mark.parametrize("line", commands())
def test_a_command_on_a_page_is_valid(line, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "sweeps").mkdir()
    if PLACEHOLDER.search(line):
        pytest.skip("has a placeholder")
    arguments = shlex.split(line.partition(" && ")[0].replace("…", ""), comments=True)[1:]
    group, parent = cli, click.Context(cli, info_name="zoo")
    while isinstance(group, click.Group) and arguments:
        name, group, arguments = group.resolve_command(parent, arguments)
        assert group is not None
    parsed = group.make_context(name, list(arguments), parent=parent).params  # an unknown option or name raises
    if name == "run" and parsed.get("recipe"):
        resolve(default().recipe(parsed["recipe"], *(parsed.get("overrides") or ())), default())


@pytest.mark.parametrize("number", range(len(blocks(EXECUTED_PAGES, "python"))))
def test_the_python_code_on_a_page_runs(number):
    code = blocks(EXECUTED_PAGES, "python")[number]
    exec(compile(code, "page", "exec"), {})  # noqa: S102  # the code of our own pages


def test_the_gallery_is_up_to_date():
    done = subprocess.run([sys.executable, str(ROOT / "scripts" / "make_gallery.py"), "--check"], check=False)
    assert done.returncode == 0, "update it: python scripts/make_gallery.py"


def test_the_site_has_no_broken_links_and_loads_nothing_from_other_servers(tmp_path):
    if find_spec("material") is None:
        pytest.skip("mkdocs-material is not installed")
    arguments = ["build", "--strict", "-f", str(DOCS / "site" / "mkdocs.yml"), "-d", str(tmp_path)]
    done = subprocess.run([sys.executable, "-m", "mkdocs", *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    pages = sorted(tmp_path.rglob("*.html"))
    assert len(pages) > 20
    for page in pages:
        external = r"<(?:script|img|iframe|source)\b[^>]*\bsrc=\"?https?:|<link\b[^>]*rel=\"?stylesheet[^>]*https?:"
        assert not re.search(external, page.read_text()), page
