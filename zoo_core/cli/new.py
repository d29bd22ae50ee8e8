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
@click.option("--dir", "folder", type=click.Path(path_type=Path), help="Where it goes; otherwise ./NAME.")
@common_options
def command(name: str, folder: Path | None) -> None:
    """Begin a plugin called NAME: an installable package with a model, its training, data, a recipe and tests.

    \b
    zoo new my-model && cd my-model && pip install -e . && zoo run my-model
    """
    if not _NAME.fullmatch(name):
        raise BadSetting(
            f"'{name}' is no name for a plugin, which has lower-case letters and digits, and '-' between words.",
            f"Write for example `zoo new {_nearly(name)}`.",
        )
    place = folder or Path(name)
    if place.exists():
        raise NameTaken(f"{place} is there already, and nothing is overwritten.", "Choose another --dir.")
    try:
        _copy(files("zoo_core") / "template", place, name)
    except OSError as error:
        raise BadFile(f"{place} could not be written: {error.strerror}.", "Choose another --dir.") from error
    click.echo(
        f"made {place}\n  next  cd {place} && pip install -e '.[test]' && zoo run {name}\n  then  zoo check {name}"
    )


def _copy(source: Traversable, target: Path, name: str) -> None:
    """The template is a plugin that works as it is; its name stands in three spellings for that of the new one."""
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


def _nearly(name: str) -> str:
    words = re.findall(r"[a-z0-9]+", name.lower())
    return "-".join(words).lstrip("0123456789-") or "my-model"
