"""Families: many models under one prefix, such as ``timm/resnet18``, whose names are asked for when they are needed."""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import cached_property
from importlib.metadata import PackageNotFoundError, distribution
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from zoo_core.config.paths import zoo_home
from zoo_core.errors import BrokenPlugin, raised
from zoo_core.files import write_atomically
from zoo_core.registry.component_name import RefusedName, why_refused
from zoo_core.registry.isolation import isolated
from zoo_core.registry.requirements import install_command

if TYPE_CHECKING:
    from zoo_core.registry.entry import Entry

MOST_NAMES = 1_000_000  # of one family; an iterator may be endless
Names = Iterable[str] | Callable[[], Iterable[str]]


@dataclass(frozen=True)
class Family:
    """Models that one class builds from their names.

    ``template`` is the entry of a member, except for its name: ``template.name`` is the prefix. If ``library`` is the
    name of a distribution, the names are kept until its version changes.
    """

    template: Entry
    names: Names
    library: str = ""
    refused: list[RefusedName] = field(default_factory=list)
    """The names that can't be used, known once the names have been asked for."""

    @property
    def prefix(self) -> str:
        return f"{self.template.name}/"

    def __len__(self) -> int:
        return len(self.members)

    @cached_property
    def members(self) -> dict[str, None]:
        """The names without the prefix, in the order of the plugin.

        Raises:
            BrokenPlugin: if the plugin does not give them, for instance because the library is not installed.
        """
        valid: dict[str, None] = {}
        names = self._all_names()
        if len(names) > MOST_NAMES:
            raise self._unavailable(f"there are more than {MOST_NAMES:,}", None)
        for name in names:
            why = why_refused(name) or ("it is registered twice" if name in valid else "")
            if why:
                self.refused.append(RefusedName(self.template.plugin, "model", f"{self.prefix}{name}", why))
            else:
                valid[name] = None
        return valid

    @property
    def problem(self) -> BrokenPlugin | None:
        """Why the names are not available, if so."""
        try:
            self.members  # noqa: B018  # computed once
        except BrokenPlugin as error:
            return error
        return None

    def entry(self, member: str) -> Entry:
        return replace(self.template, name=f"{self.prefix}{member}", member=member)

    def entries(self) -> list[Entry]:
        """Every member; none if they are not available."""
        return [] if self.problem else [self.entry(member) for member in self.members]

    def find(self, name: str) -> Entry | None:
        """The member called ``prefix/member``.

        Raises:
            BrokenPlugin: if ``name`` has the prefix, and the names are not available.
        """
        member = name.removeprefix(self.prefix)
        return self.entry(member) if member != name and member in self.members else None

    def _all_names(self) -> list[Any]:
        if not callable(self.names):
            return list(self.names)
        version = self._version() if self.library else ""
        key, path = self._key(version), _cache_file(self.template.plugin, self.template.name)
        if self.library and (kept := _read(path, key)) is not None:
            return kept
        found, failed = self._asked(self.names)
        if failed:
            raise self._unavailable(raised(failed), failed) from failed
        if not found:
            raise self._unavailable("the plugin knows none", None)
        if self.library:
            with suppress(OSError, TypeError, ValueError):  # without it, they are asked for again the next time
                path.parent.mkdir(parents=True, exist_ok=True)
                write_atomically(path, json.dumps({"key": key, "names": found}))
        return found

    def _asked(self, names: Callable[[], Iterable[str]]) -> tuple[list[Any], BaseException | None]:
        """What the plugin says its names are, or the error that it raises."""
        found, failed = [], None
        try:
            with isolated(self.template.plugin) as here:
                try:
                    found = list(islice(names(), MOST_NAMES + 1))
                except BaseException as error:
                    if here.interrupts.caused(error):
                        raise
                    failed = error
        except BrokenPlugin as error:  # it took too long
            failed = error
        if effects := str(here):
            warnings.warn(
                f"asked for the models '{self.prefix}…', the plugin '{self.template.plugin}' {effects}.", stacklevel=2
            )
        return found, failed

    def _version(self) -> str:
        try:
            return distribution(self.library).version
        except PackageNotFoundError as error:
            raise self._unavailable(f"{self.library} is not installed", error) from None

    def _key(self, version: str) -> list[Any]:
        """What the names follow from: the version of the library, and the code of the plugin."""
        code = getattr(self.names, "__code__", None)
        try:
            status = Path(code.co_filename).stat() if code else None
        except OSError:
            status = None
        return [self.library, version, *([status.st_size, status.st_mtime_ns] if status else [])]

    def _unavailable(self, why: str, error: BaseException | None) -> BrokenPlugin:
        plugin = self.template.plugin
        missing = error.name if isinstance(error, (ModuleNotFoundError, PackageNotFoundError)) else None
        command = install_command(missing, self.template.target, plugin) if missing else None
        return BrokenPlugin(
            f"the names of the models '{self.prefix}…' of the plugin '{plugin}' are not available: {why}.",
            f"Install what the plugin '{plugin}' needs: {command}"
            if command
            else f"`zoo plugins show {plugin}` shows where it comes from.",
        )


def _cache_file(plugin: str, prefix: str) -> Path:
    return zoo_home() / "cache" / "names" / f"{quote(plugin, safe='')}-{quote(prefix, safe='')}.json"


def _read(path: Path, key: list[Any]) -> list[str] | None:
    """The names in a file of the cache, if they follow from ``key``."""
    try:
        kept = json.loads(path.read_bytes())
        return [str(name) for name in kept["names"]] if kept["key"] == key else None
    except (OSError, ValueError, KeyError, TypeError):  # not written yet, or damaged: written again
        return None
