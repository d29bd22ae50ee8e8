"""Published weights by name: the section ``weights`` of registry files. Imports no torch."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from zoo_core.config.recipe_files import Malformed, Source
from zoo_core.config.settings import read, setting
from zoo_core.errors import BadSetting, NameTaken, UnknownName, did_you_mean, unknown_name

_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, kw_only=True)
class Listed:
    """An entry for weights in a registry file. It has either ``alias`` or ``location``."""

    summary: str = setting("", "a description in one line")
    alias: str | None = setting(None, "the name of the weights that this name refers to")
    default: bool = setting(False, "whether the name without a version refers to this version")
    deprecated: str = setting("", "why the weights should no longer be used, and what to use; shown at every load")
    location: str | None = setting(
        None,
        "a path, relative to the registry file; https://…; hf://owner/repo/file@revision; or a scheme of a plugin",
    )
    sha256: str | None = setting(None, "SHA-256 of the file, 64 hexadecimal digits")
    size: int | None = setting(None, "size of the file in bytes", ge=1)
    model: str | None = setting(None, "the registered name of their model")
    recipe: str | None = setting(None, "the recipe that trained them")
    license: str | None = setting(None, "an SPDX identifier, such as Apache-2.0 or CC-BY-4.0")
    metrics: dict[str, float] = setting({}, "their evaluation metrics")
    inputs: dict[str, str] = setting({}, "the inputs of the model")
    outputs: dict[str, str] = setting({}, "the outputs of the model")
    beside: dict[str, dict[str, Any]] = setting(
        {}, "published metrics of other models in the same protocol, with sources"
    )


@dataclass(frozen=True)
class Entry:
    """Weights with a name. ``file`` is the registry file of ``plugin`` that lists them; "" is the user."""

    name: str
    plugin: str
    file: Path
    listed: Listed

    @property
    def full_name(self) -> str:
        return f"{self.plugin}/{self.name}" if self.plugin else self.name

    @property
    def where(self) -> str:
        return f"{Source(self.file, ('weights', self.name))}: "

    @property
    def is_remote(self) -> bool:
        return "://" in (self.listed.location or "")

    @property
    def path(self) -> Path:
        """The path of a file that need not be downloaded."""
        return self.file.parent / (self.listed.location or "")


class Entries:
    """The weights entries of a list of registry files; later files override earlier ones of the same plugin."""

    def __init__(self, sections: Iterable[tuple[str, Path, Mapping[str, Any]]]) -> None:
        self._raw: dict[tuple[str, str], tuple[Path, Any]] = {}
        self._read: dict[tuple[str, str], Entry] = {}
        for plugin, path, section in sections:
            for name, values in section.items():
                self._raw[plugin, name] = path, values
        self._of_plugins = {way for plugin, name in self._raw if plugin for way in (name, f"{plugin}/{name}")}

    def __iter__(self) -> Any:
        return iter(sorted(self._raw, key=lambda key: (key[1], key[0])))

    def __contains__(self, name: object) -> bool:
        return bool(self._named(str(name)) or self._versions(str(name)))

    def names(self) -> list[str]:
        return sorted({name for _, name in self._raw})

    def name_of(self, plugin: str, name: str) -> str:
        """What to write for the entry of a plugin: with the plugin if an entry of the user has the name."""
        return f"{plugin}/{name}" if plugin and ("", name) in self._raw else name

    def overrides(self, plugin: str, name: str) -> bool:
        """Whether it is an entry of the user whose name refers to one of a plugin otherwise."""
        return not plugin and name in self._of_plugins

    def get(self, plugin: str, name: str) -> Entry:
        """The entry, checked; an alias is not followed.

        Raises:
            BadSetting: if it is malformed.
        """
        if (plugin, name) not in self._read:
            self._read[plugin, name] = self._checked(plugin, name)
        return self._read[plugin, name]

    def _checked(self, plugin: str, name: str) -> Entry:
        path, values = self._raw[plugin, name]
        if isinstance(values, Malformed):
            raise BadSetting(values.message, values.hint)
        prefix = f"weights.{name}"  # a version may contain dots

        def where(key: str) -> str:
            inner = tuple(key.removeprefix(prefix).split(".")[1:])
            return f"{Source(path, ('weights', name, *inner))}: "

        entry = Entry(name, plugin, path, read(Listed, values, f"weights '{name}'", prefix, where))
        _check(entry)
        return entry

    def find(self, name: str) -> Entry:
        """The weights called ``name``, ``name@version`` or ``plugin/name``; aliases are followed.

        Raises:
            UnknownName: if there are none.
            NameTaken: if several plugins or several versions have this name.
            BadSetting: if the entry is malformed, or an alias refers to itself.
        """
        entry, seen = self._entry(name), [name]
        while entry.listed.alias is not None:
            alias = entry.listed.alias
            if alias in seen:
                raise BadSetting(
                    f"{entry.where}weights '{entry.name}' are an alias of themselves: {' → '.join([*seen, alias])}.",
                    "Give one of them a location.",
                )
            seen.append(alias)
            try:
                followed = self._entry(alias)
            except UnknownName as error:
                raise unknown_name(f"{entry.where}{error.message}", error.hint, error.missing) from None
            note = entry.listed.deprecated or followed.listed.deprecated
            entry = replace(followed, listed=replace(followed.listed, deprecated=note))
        return entry

    def _entry(self, name: str) -> Entry:
        found = self._named(name) or self._default_version(name)
        if not found:
            raise unknown_name(*self._unknown(name), name)
        if len(found) > 1:
            raise NameTaken(
                f"{len(found)} plugins offer weights called '{name}'.",
                "Write " + " or ".join(f"'{plugin}/{one}'" for plugin, one in found) + ".",
            )
        return self.get(*found[0])

    def _named(self, name: str) -> list[tuple[str, str]]:
        """The entries called ``name`` or ``plugin/name``. An entry of the user overrides those of plugins."""
        owner, _, short = name.partition("/")
        return _own_first([key for key in self._raw if key[1] == name or key == (owner, short)])

    def _versions(self, name: str) -> list[tuple[str, str]]:
        owner, _, short = name.partition("/")
        found = [
            key
            for key in self._raw
            if "@" not in name
            and (key[1].startswith(f"{name}@") or (key[0] == owner and key[1].startswith(f"{short}@")))
        ]
        own = {key[1] for key in found if not key[0]}
        return [key for key in found if not key[0] or key[1] not in own]

    def _default_version(self, name: str) -> list[tuple[str, str]]:
        versions = self._versions(name)
        chosen = _own_first([key for key in versions if self.get(*key).listed.default])
        if versions and len(versions) > 1 and len(chosen) != 1:
            defaults = "none of which is the default" if not chosen else "and several are marked as the default"
            raise NameTaken(
                f"weights '{name}' have {len(versions)} versions, {defaults}.",
                "Write " + " or ".join(f"'{_written(*key, versions)}'" for key in versions) + ".",
            )
        return chosen or versions

    def _unknown(self, name: str) -> tuple[str, str | None]:
        base, at, version = name.partition("@")
        known = self.names()
        versions = [one.partition("@")[2] for one in known if one.startswith(f"{base}@")]
        if at and (versions or base in known):
            others = [f"'{base}'"] * (base in known) + [f"'{base}@{one}'" for one in versions]
            return f"weights '{base}' have no version '{version}'.", "Choose from " + ", ".join(others) + "."
        otherwise = "Give a run's folder, a .safetensors file, or a name: `zoo weights list`."
        return f"no weights are called '{name}'.", did_you_mean(name, known, otherwise)


def _own_first(keys: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """Those of the user's files, if there are any, else all."""
    return [key for key in keys if not key[0]] or keys


def _written(plugin: str, name: str, among: Iterable[tuple[str, str]]) -> str:
    """``name``, or ``plugin/name`` if several plugins have the name."""
    return f"{plugin}/{name}" if plugin and sum(one == name for _, one in among) > 1 else name


def _check(entry: Entry) -> None:
    listed = entry.listed
    if (listed.alias is None) == (listed.location is None):
        given = "neither a location nor an alias" if listed.alias is None else "both a location and an alias"
        raise BadSetting(f"{_described(entry)} have {given}.", "Add `location: …`, or `alias: NAME` of other weights.")
    if listed.alias is None and not _SHA256.fullmatch(listed.sha256 or ""):
        given = f"the sha256 {listed.sha256!r}, which should be 64 hexadecimal digits" if listed.sha256 else "no sha256"
        raise BadSetting(f"{_described(entry)} have {given}.", "`sha256sum FILE` and `zoo weights publish` print it.")
    if listed.alias is None and listed.license is None:
        raise BadSetting(f"{_described(entry)} have no license.", "Add for example `license: Apache-2.0`.")
    if entry.is_remote and listed.size is None:
        raise BadSetting(
            f"{_described(entry)} have no size, which limits the download.", "Add `size: …`, the number of bytes."
        )


def _described(entry: Entry) -> str:
    return f"{entry.where}weights '{entry.name}'"
