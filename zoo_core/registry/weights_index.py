"""Published weights by name, as the section ``weights`` of registry files lists them. Imports no torch."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from zoo_core.config.recipe_files import Source
from zoo_core.config.settings import read, setting
from zoo_core.errors import BadSetting, NameTaken, UnknownName, did_you_mean

_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, kw_only=True)
class Listed:
    """What a registry file says of weights. It has either ``alias`` or ``location``."""

    summary: str = setting("", "one line on them")
    alias: str | None = setting(None, "the name of other weights, which this one stands for")
    default: bool = setting(False, "of several name@version, whether the name alone means this one")
    deprecated: str = setting("", "why they should no longer be used, and what instead; said at every load")
    location: str | None = setting(
        None, "a file beside the registry file, a path, https://…, hf://owner/repo/file@revision, or a plugin's scheme"
    )
    sha256: str | None = setting(None, "of the file, 64 digits from 0 to f")
    size: int | None = setting(None, "of the file, in bytes", ge=1)
    model: str | None = setting(None, "the registered name of the model they are for")
    recipe: str | None = setting(None, "the recipe they were trained by")
    license: str | None = setting(None, "an SPDX identifier, such as Apache-2.0 or CC-BY-4.0")
    metrics: dict[str, float] = setting({}, "what an evaluation of them gave")
    inputs: dict[str, str] = setting({}, "what the model takes")
    outputs: dict[str, str] = setting({}, "what it gives")
    beside: dict[str, dict[str, Any]] = setting({}, "figures of others in the same protocol, each with its source")


@dataclass(frozen=True)
class Entry:
    """Weights with a name. ``file`` is the registry file that lists them, in the plugin ``plugin`` ("": the user's)."""

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
        """Of a file that need not be fetched."""
        return self.file.parent / (self.listed.location or "")


class Entries:
    """Every weights entry of a list of registry files, later files laid over those of the same plugin."""

    def __init__(self, sections: Iterable[tuple[str, Path, Mapping[str, Any]]]) -> None:
        self._raw: dict[tuple[str, str], tuple[Path, Any]] = {}
        self._read: dict[tuple[str, str], Entry] = {}
        for plugin, path, section in sections:
            for name, values in section.items():
                self._raw[plugin, name] = path, values

    def __iter__(self) -> Any:
        return iter(sorted(self._raw, key=lambda key: (key[1], key[0])))

    def __contains__(self, name: object) -> bool:
        return bool(self._named(str(name)) or self._versions(str(name)))

    def names(self) -> list[str]:
        return sorted({name for _, name in self._raw})

    def get(self, plugin: str, name: str) -> Entry:
        """The entry as it is listed, checked; an alias is not followed.

        Raises:
            BadSetting: if it is not well-formed; says where.
        """
        if (plugin, name) not in self._read:
            self._read[plugin, name] = self._checked(plugin, name)
        return self._read[plugin, name]

    def _checked(self, plugin: str, name: str) -> Entry:
        path, values = self._raw[plugin, name]
        prefix = f"weights.{name}"  # a version may have dots

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
            NameTaken: if several plugins, or several versions, answer to it.
            BadSetting: if the entry is not well-formed, or an alias leads back to itself.
        """
        entry, seen = self._entry(name), [name]
        while entry.listed.alias is not None:
            alias = entry.listed.alias
            if alias in seen:
                raise BadSetting(
                    f"{entry.where}weights '{entry.name}' are an alias of themselves: {' → '.join([*seen, alias])}.",
                    "Let the last of them have a location.",
                )
            seen.append(alias)
            try:
                followed = self._entry(alias)
            except UnknownName as error:
                raise UnknownName(f"{entry.where}{error.message}", error.hint) from None
            note = entry.listed.deprecated or followed.listed.deprecated
            entry = replace(followed, listed=replace(followed.listed, deprecated=note))
        return entry

    def _entry(self, name: str) -> Entry:
        found = self._named(name) or self._default_version(name)
        if not found:
            raise UnknownName(*self._unknown(name))
        if len(found) > 1:
            raise NameTaken(
                f"{len(found)} plugins offer weights called '{name}'.",
                "Write " + " or ".join(f"'{plugin}/{one}'" for plugin, one in found) + ".",
            )
        return self.get(*found[0])

    def _named(self, name: str) -> list[tuple[str, str]]:
        """The user's own entry wins over a plugin's; ``plugin/name`` means that plugin's."""
        owner, _, short = name.rpartition("/")
        found = [key for key in self._raw if key[1] == name or (owner and key == (owner, short))]
        return _own_first(found)

    def _versions(self, name: str) -> list[tuple[str, str]]:
        owner, _, short = name.rpartition("/")
        found = [
            key for key in self._raw if key[1].startswith(f"{short}@") and "@" not in short and owner in ("", key[0])
        ]
        own = {key[1] for key in found if not key[0]}
        return [key for key in found if not key[0] or key[1] not in own]

    def _default_version(self, name: str) -> list[tuple[str, str]]:
        versions = self._versions(name)
        chosen = _own_first([key for key in versions if self.get(*key).listed.default])
        if versions and len(versions) > 1 and len(chosen) != 1:
            said = "none of which is the default" if not chosen else "more than one of which is called the default"
            raise NameTaken(
                f"weights '{name}' have {len(versions)} versions, {said}.",
                "Write " + " or ".join(f"'{_written(*key, versions)}'" for key in versions) + ".",
            )
        return chosen or versions

    def _unknown(self, name: str) -> tuple[str, str | None]:
        base, at, version = name.partition("@")
        known = self.names()
        versions = [one.partition("@")[2] for one in known if one.startswith(f"{base}@")]
        if at and (versions or base in known):
            others = [f"'{base}'"] * (base in known) + [f"'{base}@{one}'" for one in versions]
            return f"weights '{base}' have no version '{version}'.", "There is " + ", ".join(others) + "."
        otherwise = "Give a run's folder, a .safetensors file, or a name: `zoo weights list`."
        return f"no weights are called '{name}'.", did_you_mean(name, known, otherwise)


def _own_first(keys: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """Those of the user's own files, if there are any, or else all."""
    return [key for key in keys if not key[0]] or keys


def _written(plugin: str, name: str, among: Iterable[tuple[str, str]]) -> str:
    """``name``, with its plugin before it if another has the same."""
    return f"{plugin}/{name}" if plugin and sum(one == name for _, one in among) > 1 else name


def _check(entry: Entry) -> None:
    listed = entry.listed
    if (listed.alias is None) == (listed.location is None):
        given = "neither a location nor an alias" if listed.alias is None else "both a location and an alias"
        raise BadSetting(f"{_whose(entry)} have {given}.", "Give `location: …`, or `alias: NAME` of other weights.")
    if listed.alias is None and not _SHA256.fullmatch(listed.sha256 or ""):
        held = f"sha256 {listed.sha256!r}, but should have 64 digits from 0 to f" if listed.sha256 else "no sha256"
        raise BadSetting(
            f"{_whose(entry)} have {held}.", "`sha256sum FILE` prints it; `zoo weights publish` does, too."
        )
    if listed.alias is None and listed.license is None:
        raise BadSetting(f"{_whose(entry)} have no license.", "Add for example `license: Apache-2.0`.")
    if entry.is_remote and listed.size is None:
        raise BadSetting(f"{_whose(entry)} have no size, beyond which nothing is fetched.", "Add `size: …` in bytes.")


def _whose(entry: Entry) -> str:
    return f"{entry.where}weights '{entry.name}'"
