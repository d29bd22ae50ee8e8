"""``zoo new``"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from importlib.resources import files
from importlib.resources.abc import Traversable
from inspect import cleandoc
from pathlib import Path
from shlex import quote
from typing import Any, NamedTuple

import click

from zoo_core.cli import common_options, open_catalog
from zoo_core.cli.new_name import check_name, class_name, package_name
from zoo_core.errors import BadFile, BadSetting, NameTaken, did_you_mean
from zoo_core.terminal import say


class Kind(NamedTuple):
    """A kind of plugin: what it is, the folders of the template that make it up, and arguments of its ``predict``."""

    summary: str
    folders: tuple[str, ...]
    predict: str


KINDS = {
    "vision": Kind("a convolutional network that classifies images", ("shapes", "vision"), "image=picture.png"),
    "text": Kind("a transformer that writes text, character by character", ("text",), "prompt='the '"),
    "tabular": Kind("a multilayer perceptron that classifies the rows of a table", ("tabular",), "'rows=[[0.1, 0.2]]'"),
    "gan": Kind("a generative adversarial network of images", ("shapes", "gan"), "count=16 -o images.png"),
    "diffusion": Kind("a denoising diffusion model of images", ("shapes", "diffusion"), "count=16 -o images.png"),
}
_DEFAULT = "tabular"
_COMMENT = 48  # column of the comments in the README


def _list_kinds(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add the kinds to the help text of a command."""
    lines = (f"{kind.ljust(10)} {about.summary}" for kind, about in KINDS.items())
    function.__doc__ = "\n".join(
        [cleandoc(function.__doc__ or ""), "", "\b", "Kinds:", *(f"  {line}" for line in lines)]
    )
    return function


@click.command("new")
@click.argument("name")
@click.option(
    "--kind", default=_DEFAULT, show_default=True, metavar="|".join(KINDS), help="Kind of the plugin, from those above."
)
@click.option("--dir", "folder", type=click.Path(path_type=Path), help="Folder to create; by default ./NAME.")
@common_options
@_list_kinds
def command(name: str, kind: str, folder: Path | None) -> None:
    """Create a plugin called NAME: an installable package with a model, a trainer, a dataset, a recipe and tests.

    \b
    zoo new my-model && cd my-model && pip install -e . && zoo run my-model
    """
    if kind not in KINDS:
        hint = did_you_mean(kind, KINDS, "`zoo new --help` describes them.")
        raise BadSetting(f"--kind is '{kind}', but should be one of {', '.join(KINDS)}.", hint)
    check_name(name, _sources(KINDS[kind]), open_catalog())
    target = folder or Path(name)
    if os.path.lexists(target):
        raise NameTaken(f"{target} already exists, and nothing is overwritten.", "Choose another --dir.")
    try:
        _create(target, name, KINDS[kind])
    except OSError as error:
        raise BadFile(f"{target} could not be written: {error.strerror}.", "Choose another --dir.") from error
    say(f"created {target}")
    say(f"  next  cd {quote(str(target))} && pip install -e '.[test]' && zoo run {name}")
    say(f"  then  zoo check {name}")


def _create(target: Path, name: str, kind: Kind) -> None:
    """Copy what all kinds of plugins share, and then the code of this kind into the package."""
    template = files("zoo_core") / "template"

    def written(text: str) -> str:
        """The text with the three spellings of the name, and what is particular to the kind."""
        column = _COMMENT - len("my-model") + len(name)
        spellings = {
            "my-model": name,
            "my_model": package_name(name),
            "MyModel": class_name(name),
            "{{summary}}": kind.summary,
            "{{predict}}": f"zoo predict {name} {kind.predict}".ljust(column) + " # predict with the newest run",
        }
        for spelling, replacement in spellings.items():
            text = text.replace(spelling, replacement)
        return text

    for inner in template.iterdir():
        if inner.name != "kinds":
            _copy(inner, target / written(inner.name), written)
    for folder in kind.folders:
        for inner in (template / "kinds" / folder).iterdir():
            _copy(inner, target / written("my_model") / inner.name, written)


def _sources(kind: Kind) -> Iterator[str]:
    """The modules of this kind of plugin, but for what is named after it."""
    for folder in kind.folders:
        for inner in (files("zoo_core") / "template" / "kinds" / folder).iterdir():
            if inner.name.endswith(".py"):
                yield inner.read_text(encoding="utf-8").replace("MyModel", "")


def _copy(source: Traversable, target: Path, written: Callable[[str], str]) -> None:
    if source.name != ".github" and source.name.startswith((".", "__pycache__")):  # caches of tools
        return
    if source.is_dir():
        for inner in source.iterdir():
            _copy(inner, target / written(inner.name), written)
    else:
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(written(source.read_text(encoding="utf-8")), encoding="utf-8")
