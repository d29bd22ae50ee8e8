"""``zoo new``"""

from __future__ import annotations

import re
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path

import click

from zoo_core.cli import common_options
from zoo_core.errors import BadFile, BadSetting, NameTaken

_NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")


@click.command("new")
@click.argument("name")
@click.option("--dir", "folder", type=click.Path(path_type=Path), help="Folder to create; by default ./NAME.")
@common_options
def command(name: str, folder: Path | None) -> None:
    """Create a plugin called NAME: an installable package with a model, a trainer, a dataset, a recipe and tests.

    \b
    zoo new my-model && cd my-model && pip install -e . && zoo run my-model
    """
    if not _NAME.fullmatch(name):
        raise BadSetting(
            f"'{name}' is not a name for a plugin, which has lower-case letters and digits, and '-' between words.",
            f"Write for example `zoo new {_valid_name(name)}`.",
        )
    target = folder or Path(name)
    if target.exists():
        raise NameTaken(f"{target} already exists, and nothing is overwritten.", "Choose another --dir.")
    try:
        _copy(files("zoo_core") / "template", target, name)
    except OSError as error:
        raise BadFile(f"{target} could not be written: {error.strerror}.", "Choose another --dir.") from error
    click.echo(
        f"created {target}\n  next  cd {target} && pip install -e '.[test]' && zoo run {name}\n  then  zoo check {name}"
    )


def _copy(source: Traversable, target: Path, name: str) -> None:
    """Copy the template, a working plugin, and replace the three spellings of its name by those of ``name``."""
    if source.is_dir():
        target.mkdir(parents=True)
        for inner in source.iterdir():
            if inner.name == ".github" or not inner.name.startswith((".", "__pycache__")):  # caches of tools
                _copy(inner, target / _renamed(inner.name, name), name)
    else:
        target.write_text(_renamed(source.read_text(encoding="utf-8"), name), encoding="utf-8")


def _renamed(text: str, name: str) -> str:
    words = name.split("-")
    return (
        text.replace("my-model", name)
        .replace("my_model", "_".join(words))
        .replace("MyModel", "".join(word.capitalize() for word in words))
    )


def _valid_name(name: str) -> str:
    """A valid name for a plugin that is similar to ``name``."""
    words = re.findall(r"[a-z0-9]+", name.lower())
    return "-".join(words).lstrip("0123456789-") or "my-model"
