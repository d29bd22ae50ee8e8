"""Which plugins are loaded: the list of disabled plugins, and environment variables for one command."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from zoo_core.config.paths import zoo_home
from zoo_core.errors import BadFile
from zoo_core.files import write_atomically


@dataclass(frozen=True)
class PluginChoice:
    """``disabled`` is permanent; ``only`` is ZOO_PLUGINS and ``without`` ZOO_DISABLE_PLUGINS."""

    disabled: frozenset[str] = field(default_factory=frozenset)
    only: frozenset[str] | None = None
    without: frozenset[str] = field(default_factory=frozenset)

    @classmethod
    def of_user(cls) -> PluginChoice:
        only = os.environ.get("ZOO_PLUGINS")
        return cls(
            frozenset(read_disabled()),
            None if only is None else _names(only),
            _names(os.environ.get("ZOO_DISABLE_PLUGINS", "")),
        )

    def why_not(self, name: str) -> str:
        """Why the plugin ``name`` is not loaded, or "" if it is."""
        if self.only is not None:  # ZOO_PLUGINS overrides the list of disabled plugins
            return "" if name in self.only else "ZOO_PLUGINS does not include it"
        if name in self.without:
            return "ZOO_DISABLE_PLUGINS includes it"
        return f"enable it: zoo plugins enable {name}" if name in self.disabled else ""


def read_disabled() -> list[str]:
    """The names of the disabled plugins.

    Raises:
        BadFile: if the file that contains them is damaged.
    """
    path = _file()
    if not path.is_file():
        return []
    try:
        document: Any = json.loads(path.read_text(encoding="utf-8"))
        names = document["disabled"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BadFile(f"{path} can't be read: {error}.", "Delete it; then no plugin is disabled.") from error
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise BadFile(f"{path} should contain names of plugins.", "Delete it; then no plugin is disabled.")
    return names


def write_disabled(names: list[str]) -> None:
    """Make ``names`` the disabled plugins."""
    path = _file()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, json.dumps({"disabled": sorted(set(names))}) + "\n")
    except OSError as error:
        raise BadFile(
            f"{path} can't be written: {error.strerror}.", "Set ZOO_HOME to a folder that you can write to."
        ) from error


def _file() -> Path:
    return zoo_home() / "plugins.json"


def _names(text: str) -> frozenset[str]:
    return frozenset(filter(None, (name.strip() for name in text.split(","))))
