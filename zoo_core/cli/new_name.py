"""Which names a new plugin may have: those whose package, distribution and components are not taken."""

from __future__ import annotations

import keyword
import re
import sys
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, distribution
from importlib.util import find_spec

from zoo_core.config.yaml_reader import read_text
from zoo_core.errors import BadSetting, NameTaken
from zoo_core.registry.catalog import Catalog

_NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
_MOST_CHARACTERS = 50  # with which the lines of the template have at most 120
_FOLDERS = ("tests",)
"""Folders that the template has beside the package."""
_REGISTERED = ("model", "trainer")
"""Kinds that the template registers under the name of the plugin, besides a recipe."""


def check_name(name: str, sources: Iterable[str], catalog: Catalog) -> None:
    """Raise BadSetting or NameTaken if a plugin that is made of ``sources``, Python code, can't be called ``name``."""
    if not _NAME.fullmatch(name) or len(name) > _MOST_CHARACTERS:
        raise BadSetting(
            f"'{name}' is not a name for a plugin, which has at most {_MOST_CHARACTERS} lower-case letters and digits, "
            "with '-' between words.",
            f"Write for example `zoo new {_valid_name(name)}`.",
        )
    hint = f"Write for example `zoo new my-{name}`."
    if reason := _unusable(name, sources):
        raise BadSetting(f"a plugin can't be called '{name}': {reason}.", hint)
    if owner := _owner(name, catalog):
        raise NameTaken(f"a plugin can't be called '{name}': {owner} has this name.", hint)


def package_name(name: str) -> str:
    return name.replace("-", "_")


def class_name(name: str) -> str:
    return "".join(word.capitalize() for word in name.split("-"))


def _unusable(name: str, sources: Iterable[str]) -> str:
    package, model = package_name(name), class_name(name)
    if keyword.iskeyword(package):
        return "it is a keyword of Python, and no name of a package"
    if keyword.iskeyword(model) or model in _names_in(sources):
        return f"its class would be called {model}, as something else in its modules"
    if package in _FOLDERS:
        return f"the folder {package}/ is that of its tests"
    return "" if isinstance(read_text(name), str) else "YAML reads it as a value other than text"


def _names_in(sources: Iterable[str]) -> set[str]:
    """What Python code imports or defines."""
    code = "\n".join(sources)
    imported = ", ".join(re.findall(r"^(?:from \S+ )?import (.+)$", code, re.MULTILINE))
    return {*re.split(r", | as ", imported), *re.findall(r"^class (\w+)", code, re.MULTILINE)}


def _owner(name: str, catalog: Catalog) -> str:
    """What has the name already, such as ``the installed plugin``."""
    if package_name(name) in sys.stdlib_module_names:
        return "a module of Python"
    if any(info.name == name for info in catalog.plugins.infos):
        return "an installed plugin"
    if found := [one for one in catalog.registry.entries if one.kind in _REGISTERED and one.name == name]:
        return f"a {found[0].kind} of the plugin '{found[0].plugin}'"
    if owners := [plugin for plugin, recipe in catalog.recipes.names() if recipe == name]:
        return f"a recipe of '{owners[0]}'"
    return "an installed package" if _is_installed(name) else ""


def _is_installed(name: str) -> bool:
    """Whether a distribution or a package has the name; a folder of the working directory is none."""
    try:
        distribution(name)
    except PackageNotFoundError:
        spec = find_spec(package_name(name))
        return spec is not None and spec.origin is not None
    return True


def _valid_name(name: str) -> str:
    """A valid name for a plugin that is similar to ``name``."""
    similar = "-".join(re.findall(r"[a-z0-9]+", name.lower()))
    if not similar or not name.isascii():
        return "my-model"
    return (similar if similar[0].isalpha() else f"model-{similar}")[:_MOST_CHARACTERS].rstrip("-")
