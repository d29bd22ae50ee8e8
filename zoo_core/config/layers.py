"""The recipes and weights of every layer: files of plugins, then those of the user; later wins."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterable, Mapping
from contextlib import nullcontext, suppress
from pathlib import Path
from typing import Any

from zoo_core.config.recipe import Recipe, merge
from zoo_core.config.recipe_files import Key, Source, check_registry, checked, read_registry
from zoo_core.errors import BadFile, BadSetting, NameTaken, UnknownName, ZooError, did_you_mean

PLUGIN_FILES = "ZOO_PLUGIN_FILES"  # as PATH has folders; `zoo --plugin` adds to it
_COMPLETING = "_ZOO_COMPLETE" in os.environ  # a shell asks for names, and shows errors amid what is typed


class Recipes:
    """Every recipe and every weights entry of a list of YAML files, later files laid over earlier ones."""

    def __init__(
        self,
        plugin_files: Iterable[tuple[str, Path]] = (),
        user_files: Iterable[Path] = (),
        own: Mapping[Path, dict[str, Any]] | None = None,
    ) -> None:
        """``own`` are documents that plugins gave as they are, in place of what the file of that path would hold."""
        self.files = [*plugin_files, *(("", path) for path in user_files)]
        self._own = own or {}
        self._documents: dict[Path, dict[str, Any]] = {}
        self._extended: dict[str, Recipe] = {}

    def names(self) -> list[tuple[str, str]]:
        """(plugin, name) of every recipe, those of the user's files with an empty plugin."""
        seen: dict[tuple[str, str], None] = {}
        offered: set[str] = set()
        full_names: set[str] = set()
        for plugin, path in self.files:
            for name in self._section(plugin, path, "recipes"):
                if plugin or (name not in offered and name not in full_names):
                    seen[plugin, name] = None
                    full_names.add(f"{plugin}/{name}")
                offered.add(name)
        return list(seen)

    def __contains__(self, name: str) -> bool:
        """Whether a recipe answers to ``name``, as it is or with its plugin's before it; nothing of it is read."""
        short = name.rpartition("/")[2]
        return any(short == recipe and name in (short, f"{plugin}/{recipe}") for plugin, recipe in self.names())

    def find(self, name: str, _asking: tuple[str, ...] = ()) -> Recipe:
        """The recipe called ``name`` or ``plugin/name``, with what it extends laid under it.

        Raises:
            UnknownName: if no file has it.
            NameTaken: if several plugins have it and ``name`` does not say whose.
            BadSetting: if it is not a recipe, or extends itself.
        """
        layers = self._layers(name, _asking[-1] if _asking else None)
        extends, source = None, None
        for _, path, own in layers:
            if "extends" in own:
                extends, source = own["extends"], Source(path, ("recipes", name, "extends"))
        plugin = next((plugin for plugin, _, _ in layers if plugin), "")
        values: dict[str, Any] = {}
        sources: dict[Key, Source] = {}
        if extends is not None:
            chain = (*_asking, name)
            if extends in chain:
                raise BadSetting(
                    f"{source}: recipe '{name}' extends itself: {' → '.join([*chain, extends])}.",
                    "Leave `extends` out: a recipe of the same name in a later file is laid over the earlier one.",
                )
            try:
                parent = self._extended.get(extends) or self.find(extends, chain)
            except UnknownName as error:
                raise UnknownName(f"{source}: {error.message}", error.hint) from None
            self._extended[extends] = parent
            sources = {key: value for key, value in parent.sources.items() if key[0] != "summary"}
            values = {
                key: dict(value) if isinstance(value, dict) else value  # the parent is another recipe's, too
                for key, value in parent.values.items()
                if key != "summary"
            }
        for _, path, own in layers:
            own = {key: value for key, value in own.items() if key != "extends"}
            values = merge(values, own, sources, Source(path, ("recipes", name.rpartition("/")[2])))
        return Recipe(name.rpartition("/")[2], values, plugin, sources)

    def weights(self) -> list[tuple[str, Path, Mapping[str, Any]]]:
        """The section ``weights`` of every file: (plugin, the file, entries by name)."""
        return [(plugin, path, self._section(plugin, path, "weights")) for plugin, path in self.files]

    def leave_out_damaged(self) -> None:
        """Go on without the files that cannot be read, in silence: for a shell that completes a name."""
        for plugin, path in self.files:
            try:
                self._section(plugin, path, "recipes")
            except ZooError:
                self._documents[path] = {}

    def _layers(self, name: str, asked_by: str | None) -> list[tuple[str, Path, Mapping[str, Any]]]:
        owner, _, short = name.rpartition("/")
        layers = []
        for plugin, path in self.files:
            key = short if plugin else name  # a user's file may say "plugin/name" to lay something over one of two
            own = self._section(plugin, path, "recipes").get(key)
            if own is not None and (not plugin or owner in ("", plugin)):
                layers.append((plugin, path, checked(own, key, path)))
        owners = list(dict.fromkeys(plugin for plugin, _, _ in layers if plugin))
        if not layers:
            known = [known for _, known in self.names()]
            asking = f", which '{asked_by}' extends" if asked_by else ""
            raise UnknownName(
                f"no recipe is called '{name}'{asking}.",
                did_you_mean(name, known, f"`zoo list` shows all {len(known)}."),
            )
        if len(owners) > 1:
            raise NameTaken(
                f"{len(owners)} plugins offer a recipe called '{name}'.",
                "Write " + " or ".join(f"'{plugin}/{short}'" for plugin in owners) + ".",
            )
        return layers

    def _section(self, plugin: str, path: Path, section: str) -> dict[str, Any]:
        if path not in self._documents:
            try:
                own = self._own.get(path)
                document = read_registry(path) if own is None else check_registry(own, path)
                if plugin and "plugins" in document:
                    raise BadSetting(f"{Source(path, ('plugins',))}: only a user's registry may name plugins.")
                self._documents[path] = document
            except ZooError as error:
                if not plugin:
                    raise
                self._documents[path] = {}  # a plugin's damaged file costs only its own recipes
                warnings.warn(f"the recipes of the plugin '{plugin}' are left out: {error.message}", stacklevel=2)
        return self._documents[path].get(section) or {}


def user_files(registry: Iterable[Path] = ()) -> list[Path]:
    """The user's own layers that exist: ``$ZOO_HOME/registry.yaml``, ``./registry.yaml``, then each ``--registry``.

    They are the files of now: a program may change its folder before one is read.
    """
    from zoo_core.config.paths import zoo_home

    found = [path for path in (zoo_home() / "registry.yaml", Path("registry.yaml")) if path.is_file()]
    return [path.absolute() for path in (*found, *map(Path, registry))]


def plugin_files(registry: Iterable[Path] = ()) -> list[Path]:
    """The single-file plugins that the user named: with ``--plugin``, or in the section ``plugins`` of a registry.

    Of the registries that are the user's by name: ``$ZOO_HOME/registry.yaml`` and each ``--registry``. One that merely
    lies in the working folder may have come with what was downloaded, and runs nothing.
    """
    from zoo_core.config.paths import zoo_home

    found = [Path(name) for name in filter(None, os.environ.get(PLUGIN_FILES, "").split(os.pathsep))]
    for path in (zoo_home() / "registry.yaml", *map(Path, registry)):
        with suppress(ZooError) if _COMPLETING else nullcontext():
            found += [path.parent / name for name in _plugins_of(path)]
    here = Path("registry.yaml")
    if not any(path.resolve() == here.resolve() for path in registry) and _names_plugins(here):
        warnings.warn(
            f"{here} names plugins, which are not loaded: it was not named itself. `--registry {here}` loads them.",
            stacklevel=2,
        )
    return list(dict.fromkeys(path.resolve() for path in found))


def _names_plugins(path: Path) -> bool:
    """Whether a file that loads none would name any. What is wrong with it is told where its recipes are read."""
    with suppress(ZooError):
        return bool(_named_plugins(path))
    return False


def _plugins_of(path: Path) -> list[str]:
    """The section ``plugins`` of a registry file, whose files are there.

    Raises:
        BadFile: if one is not.
    """
    names = _named_plugins(path)
    for name in names:
        if not (path.parent / name).is_file():
            place = Source(path, ("plugins",))
            raise BadFile(f"{place}: the plugin {name} does not exist.", "Take it out there, or put the file there.")
    return names


def _named_plugins(path: Path) -> list[str]:
    """The section ``plugins`` of a registry file. Most have none, and then it need not be read as YAML."""
    if not path.is_file() or b"plugins" not in path.read_bytes():
        return []
    return [str(name) for name in read_registry(path).get("plugins") or []]
