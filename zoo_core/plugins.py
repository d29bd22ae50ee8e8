"""The installed plugins: each loaded by itself, so that a broken one harms nobody else."""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from typing import Literal

import pluggy

from zoo_core import hookspecs
from zoo_core.errors import NameTaken
from zoo_core.registry import Registry

GROUP = "zoo"


@dataclass(frozen=True)
class PluginInfo:
    """A plugin and how its loading went."""

    name: str
    distribution: str
    version: str
    state: Literal["loaded", "broken"]
    why: str = ""
    milliseconds: float = 0.0


class Plugins:
    """Loads plugins into a pluggy manager and keeps account of how each went.

    ``zoo_register`` is a historic hook: it runs as a plugin is added, so the owner of each name is known, a failure is
    its plugin's own, and a plugin added later (in a test, in a notebook) takes the same path as an installed one.
    """

    def __init__(self, registry: Registry) -> None:
        self.registry = registry
        self.infos: list[PluginInfo] = []
        self.manager = pluggy.PluginManager("zoo")
        self.manager.add_hookspecs(hookspecs)
        self.manager.hook.zoo_register.call_historic(kwargs={"registry": registry})

    def load_installed(self) -> None:
        """Load every plugin with an entry point in the group ``zoo``, in the order of their names."""
        for entry_point in sorted(entry_points(group=GROUP), key=lambda point: (point.name, point.value)):
            self._load(entry_point)

    def add(self, name: str, plugin: object) -> None:
        """Register ``plugin`` now. Its ``zoo_register`` runs at once, and nothing of it stays if that fails."""
        if self.manager.has_plugin(name):
            raise NameTaken(f"another distribution brings a plugin called '{name}', too.", "Uninstall one of the two.")
        with self.registry.owned_by(name):
            try:
                self.manager.register(plugin, name=name)
                self.manager.check_pending()  # a misspelt hook is this plugin's fault
            except BaseException:
                if self.manager.has_plugin(name):
                    self.manager.unregister(name=name)
                raise

    @property
    def broken(self) -> list[PluginInfo]:
        return [info for info in self.infos if info.state == "broken"]

    def _load(self, entry_point: EntryPoint) -> None:
        distribution = entry_point.dist
        label = (distribution.name, distribution.version) if distribution else ("unknown", "")
        torch_was_there = "torch" in sys.modules
        start = time.perf_counter()
        try:
            self.add(entry_point.name, entry_point.load())
        except (Exception, SystemExit) as error:
            why = " ".join(f"{type(error).__name__}: {error}".split())  # one line, as `zoo plugins` has
            self.infos.append(PluginInfo(entry_point.name, *label, "broken", why))
        else:
            took = 1000 * (time.perf_counter() - start)
            why = "imports torch at registration" if "torch" in sys.modules and not torch_was_there else ""
            self.infos.append(PluginInfo(entry_point.name, *label, "loaded", why, took))
