"""Recipes and weights from all registry files: those of plugins, then those of the user, which override them."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterable, Mapping
from contextlib import nullcontext, suppress
from pathlib import Path
from typing import Any

from zoo_core.config.command_line import PLUGIN_FILES, REGISTRY_FILES, listed_files
from zoo_core.config.recipe import Recipe, merge
from zoo_core.config.recipe_files import Key, Source, check_registry, checked, read_limited, read_registry
from zoo_core.errors import BadFile, BadSetting, NameTaken, UnknownName, ZooError, did_you_mean, unknown_name

_MAX_CHAIN = 20  # recipes of which each extends the next
_COMPLETING = "_ZOO_COMPLETE" in os.environ  # a message would appear in the middle of the command being typed


class Recipes:
    """The recipes and weights entries of a list of YAML files; later files override earlier ones."""

    def __init__(
        self,
        plugin_files: Iterable[tuple[str, Path]] = (),
        user_files: Iterable[Path] = (),
        registered: Mapping[Path, dict[str, Any]] | None = None,
    ) -> None:
        """``registered`` maps a path to a document that a plugin registered in Python; that file is not read."""
        self.files = [*plugin_files, *(("", path) for path in user_files)]
        self._registered = registered or {}
        self._documents: dict[Path, dict[str, Any]] = {}
        self._extended: dict[str, Recipe] = {}

    def names(self) -> list[tuple[str, str]]:
        """(plugin, name) of every recipe; the plugin is empty for a recipe of the user's files."""
        seen: dict[tuple[str, str], None] = {}
        short_names: set[str] = set()
        full_names: set[str] = set()
        for plugin, path in self.files:
            for name in self._section(plugin, path, "recipes"):
                if plugin or (name not in short_names and name not in full_names):
                    seen[plugin, name] = None
                    full_names.add(f"{plugin}/{name}")
                short_names.add(name)
        return list(seen)

    def __contains__(self, name: str) -> bool:
        """Whether there is a recipe called ``name`` or ``plugin/name``; the recipe itself is not checked."""
        return any(name in (recipe, f"{plugin}/{recipe}") for plugin, recipe in self.names())

    def find(self, name: str, _extending: tuple[str, ...] = ()) -> Recipe:
        """The recipe called ``name`` or ``plugin/name``, merged into the recipe that it extends.

        Raises:
            UnknownName: if no file contains it.
            NameTaken: if several plugins offer it and ``name`` does not include the plugin.
            BadSetting: if it is malformed, or extends itself.
        """
        layers = self._layers(name, _extending[-1] if _extending else None)
        extends, source = None, None
        for _, key, path, own in layers:
            if "extends" in own:
                extends, source = own["extends"], Source(path, ("recipes", key, "extends"))
        # A recipe has the name that its plugin gave it; a file of the user may have written the plugin as well.
        plugin, own_name = next(((plugin, key) for plugin, key, _, _ in layers if plugin), ("", name))
        values: dict[str, Any] = {}
        sources: dict[Key, Source] = {}
        if extends is not None:
            chain = (*_extending, name)
            if len(chain) > _MAX_CHAIN:
                raise BadSetting(
                    f"{source}: recipe '{chain[0]}' extends one that extends another, more than {_MAX_CHAIN} times.",
                    "Write the settings into fewer recipes.",
                )
            if extends in chain:
                raise BadSetting(
                    f"{source}: recipe '{name}' extends itself: {' → '.join([*chain, extends])}.",
                    "Remove `extends`: a recipe overrides the one of the same name in an earlier file without it.",
                )
            try:
                parent = self._extended.get(extends) or self.find(extends, chain)
            except UnknownName as error:
                raise unknown_name(f"{source}: {error.message}", error.hint, error.missing) from None
            self._extended[extends] = parent
            sources = {key: value for key, value in parent.sources.items() if key[0] != "summary"}
            values = {
                key: dict(value) if isinstance(value, dict) else value  # other recipes may extend the same parent
                for key, value in parent.values.items()
                if key != "summary"
            }
        for _, key, path, own in layers:
            own = {part: value for part, value in own.items() if part != "extends"}
            values = merge(values, own, sources, Source(path, ("recipes", key)))
        return Recipe(own_name, values, plugin, sources)

    def owners(self, name: str) -> list[str]:
        """The plugins that have a recipe of this name, without the plugin's."""
        return [plugin for plugin, path in self.files if plugin and name in self._section(plugin, path, "recipes")]

    def without(self, *files: Path | None) -> Recipes:
        """These recipes without those of some files of the user."""
        others = Recipes(registered=self._registered)
        others.files = [(plugin, file) for plugin, file in self.files if plugin or file not in files]
        others._documents = self._documents  # no file is read again
        return others

    def user_file(self, name: str) -> Path | None:
        """The file of the user that sets something of a recipe, or of one that it extends; the last of several.

        Raises:
            ZooError: as :meth:`find` does.
        """
        seen: set[str] = set()
        extended: str | None = name
        while extended is not None and extended not in seen:
            seen.add(extended)
            layers = self._layers(extended, None)
            if own := [path for plugin, _, path, _ in layers if not plugin]:
                return own[-1]
            extended = next((values["extends"] for _, _, _, values in reversed(layers) if "extends" in values), None)
        return None

    def weights(self) -> list[tuple[str, Path, Mapping[str, Any]]]:
        """The section ``weights`` of every file: (plugin, path of the file, entries by name)."""
        return [(plugin, path, self._section(plugin, path, "weights")) for plugin, path in self.files]

    def skip_damaged_files(self) -> None:
        """Ignore files that cannot be read, without a warning, for shell completion."""
        for plugin, path in self.files:
            try:
                self._section(plugin, path, "recipes")
            except ZooError:
                self._documents[path] = {}

    def _layers(self, name: str, extended_by: str | None) -> list[tuple[str, str, Path, Mapping[str, Any]]]:
        """The plugin, the name in the file, the file and the content of each entry for a recipe."""
        owner, _, short = name.partition("/")
        has_owner = any(
            plugin == owner and short in self._section(plugin, path, "recipes") for plugin, path in self.files
        )
        layers = []
        for plugin, path in self.files:
            # "plugin/name" in a user's file overrides the recipe of that plugin only.
            key = short if plugin and has_owner else name
            own = self._section(plugin, path, "recipes").get(key)
            if own is not None and (not plugin or not has_owner or plugin == owner):
                layers.append((plugin, key, path, checked(own, key, path)))
        owners = list(dict.fromkeys(plugin for plugin, _, _, _ in layers if plugin))
        if not layers:
            known = [known for _, known in self.names()]
            context = f", which '{extended_by}' extends" if extended_by else ""
            raise unknown_name(
                f"no recipe is called '{name}'{context}.",
                did_you_mean(name, known, f"`zoo list` shows all {len(known)}."),
                name,
            )
        if len(owners) > 1:
            raise NameTaken(
                f"{len(owners)} plugins offer a recipe called '{name}'.",
                "Write " + " or ".join(f"'{plugin}/{name}'" for plugin in owners) + ".",
            )
        return layers

    def _section(self, plugin: str, path: Path, section: str) -> dict[str, Any]:
        if path not in self._documents:
            try:
                registered = self._registered.get(path)
                document = read_registry(path) if registered is None else check_registry(registered, path)
                if plugin and "plugins" in document:
                    raise BadSetting(
                        f"{Source(path, ('plugins',))}: the registry of a plugin can't list plugins.",
                        "Only a registry file of the user may have the section `plugins`.",
                    )
                self._documents[path] = document
            except ZooError as error:
                if not plugin:
                    raise
                self._documents[path] = {}  # the other plugins still work
                warnings.warn(f"the recipes of the plugin '{plugin}' are ignored: {error.message}", stacklevel=2)
        return self._documents[path].get(section) or {}


def user_files(registry: Iterable[Path] = ()) -> list[Path]:
    """The registry files of the user: ``$ZOO_HOME/registry.yaml``, ``./registry.yaml``, then each ``--registry``.

    The first two are optional. The paths are absolute, since the working directory may change before a file is read.
    """
    from zoo_core.config.paths import zoo_home

    found = [path for path in (zoo_home() / "registry.yaml", Path("registry.yaml")) if path.is_file()]
    return list(dict.fromkeys(path.absolute() for path in (*found, *given_files(registry))))


def local_file(registry: Iterable[Path] = ()) -> Path | None:
    """The ``registry.yaml`` of the working folder, unless the user gave it as ``--registry``, or it is that of
    ``$ZOO_HOME``."""
    from zoo_core.config.paths import zoo_home

    local = Path("registry.yaml").absolute()
    chosen = {path.resolve() for path in (zoo_home() / "registry.yaml", *given_files(registry))}
    return local if local.is_file() and local.resolve() not in chosen else None


def given_files(registry: Iterable[Path]) -> list[Path]:
    """The registry files that were given as arguments or with ``--registry``."""
    return [*listed_files(REGISTRY_FILES), *map(Path, registry)]


def plugin_files(registry: Iterable[Path] = ()) -> list[Path]:
    """The single-file plugins that the user listed, with ``--plugin`` or in the section ``plugins`` of a registry file.

    Only ``$ZOO_HOME/registry.yaml`` and files given with ``--registry`` can load plugins. A ``registry.yaml`` in the
    working directory may be part of a download, so its plugins are not loaded, with a warning.
    """
    from zoo_core.config.paths import zoo_home

    found, registries = listed_files(PLUGIN_FILES), given_files(registry)
    for path in (zoo_home() / "registry.yaml", *registries):
        with suppress(ZooError) if _COMPLETING else nullcontext():
            found += [path.parent / name for name in _plugins_of(path)]
    local = Path("registry.yaml")
    if not any(path.resolve() == local.resolve() for path in registries) and _lists_plugins(local):
        warnings.warn(
            f"the plugins that {local} lists are not loaded, since the file was not given with --registry. "
            f"Load them with `--registry {local}`.",
            stacklevel=2,
        )
    return list(dict.fromkeys(path.resolve() for path in found))


def _lists_plugins(path: Path) -> bool:
    """Whether a registry file lists plugins. An error in the file is reported when its recipes are read."""
    with suppress(ZooError):
        return bool(_listed_plugins(path))
    return False


def _plugins_of(path: Path) -> list[str]:
    """The section ``plugins`` of a registry file.

    Raises:
        BadFile: if a listed file does not exist.
    """
    names = _listed_plugins(path)
    for name in names:
        if not (path.parent / name).is_file():
            place = Source(path, ("plugins",))
            raise BadFile(f"{place}: the plugin {name} does not exist.", "Remove it from the list, or create the file.")
    return names


def _listed_plugins(path: Path) -> list[str]:
    """The section ``plugins`` of a registry file. Most files have none and are then not parsed, to save time."""
    if not path.is_file() or "plugins" not in read_limited(path):
        return []
    return [str(name) for name in read_registry(path).get("plugins") or []]
