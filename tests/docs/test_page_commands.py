"""What the pages tell people to type is there: commands, options, recipes and settings; and their Python runs."""

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
PAGES = [DOCS / "gallery.md", DOCS / "top.md", *sorted((DOCS / "coming-from").glob("*.md"))]
BLOCK = re.compile(r"^```(bash|python)\n(.*?)^```", re.MULTILINE | re.DOTALL)
CONSOLE = re.compile(r"^```(?:bash)?\n(.*?)^```", re.MULTILINE | re.DOTALL)
# What a reader has and this machine has not: names to be filled in, and the reader's own plugins.
STANDS_FOR_A_NAME = re.compile(r"\b(NAME|FOLDER|TIME)\b|\b(my|timm|vae)-|\bcheck vae\b|--resume runs/|--resume last")


def blocks(language):
    return [(page, text) for page in PAGES for kind, text in BLOCK.findall(page.read_text()) if kind == language]


def commands():
    """Every line of every page that begins with zoo, those that go on behind a backslash as one."""
    pages = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *DOCS.rglob("*.md")]
    texts = [text for page in pages for text in CONSOLE.findall(page.read_text())]
    lines = [line for text in texts for line in text.replace("\\\n", " ").splitlines()]
    return sorted({" ".join(line.split()) for line in lines if line.startswith("zoo ")})


def test_most_commands_on_the_pages_are_tried():
    tried = [line for line in commands() if not STANDS_FOR_A_NAME.search(line)]
    assert len(tried) > 40
    assert len(tried) > len(commands()) // 2


@pytest.mark.parametrize("line", commands())
def test_a_command_can_be_typed(line, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "sweeps").mkdir()
    if STANDS_FOR_A_NAME.search(line):
        pytest.skip("stands for a name")
    words = shlex.split(line.partition(" && ")[0].replace("…", ""), comments=True)[1:]
    group, parent = cli, click.Context(cli, info_name="zoo")
    while isinstance(group, click.Group) and words:
        name, group, words = group.resolve_command(parent, words)
        assert group is not None
    parsed = group.make_context(name, list(words), parent=parent).params  # an unknown option or name raises
    if name in ("run", "sweep") and parsed.get("recipe"):
        settings = parsed.get("overrides") or ()
        if name == "run":
            resolve(default().recipe(parsed["recipe"], *settings), default())


@pytest.mark.parametrize("number", range(len(blocks("python"))))
def test_python_on_a_page_runs(number):
    _, text = blocks("python")[number]
    exec(compile(text, "page", "exec"), {})  # noqa: S102  # what the pages say is to be tried


def test_the_gallery_is_what_registries_and_weights_say():
    done = subprocess.run([sys.executable, str(ROOT / "scripts" / "make_gallery.py"), "--check"], check=False)
    assert done.returncode == 0, "write it anew: python scripts/make_gallery.py"


def test_the_site_has_no_broken_link_and_fetches_nothing(tmp_path):
    if find_spec("material") is None:
        pytest.skip("mkdocs-material is not installed")
    words = ["build", "--strict", "-f", str(DOCS / "site" / "mkdocs.yml"), "-d", str(tmp_path)]
    done = subprocess.run([sys.executable, "-m", "mkdocs", *words], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    made = sorted(tmp_path.rglob("*.html"))
    assert len(made) > 20
    for page in made:
        loads = r"<(?:script|img|iframe|source)\b[^>]*\bsrc=\"?https?:|<link\b[^>]*rel=\"?stylesheet[^>]*https?:"
        assert not re.search(loads, page.read_text()), page
