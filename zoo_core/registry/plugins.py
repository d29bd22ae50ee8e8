"""The installed plugins. Each is loaded separately, so that a broken one does not affect the others."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache, partial
from importlib.metadata import Distribution, EntryPoint, entry_points
from pathlib import Path
from typing import Any, Literal

import pluggy

from zoo_core import hookspecs
from zoo_core.errors import BadFile, BrokenPlugin, NameTaken
from zoo_core.registry.isolation import failure, isolated
from zoo_core.registry.registry import Registry
from zoo_core.registry.selection import PluginChoice

GROUP = "zoo"
API_VERSION = 1
State = Literal["loaded", "broken", "disabled"]


@dataclass(frozen=True)
class PluginInfo:
    """A plugin and the outcome of loading it."""

    name: str
    distribution: str
    version: str
    state: State
    why: str = ""
    milliseconds: float = 0.0
    target: str = ""
    """The module of its entry point, or the file that the user gave."""
    location: str = ""
    """The folder it is installed in."""
    traceback: str = ""
    hint: str = ""
    """How to fix a broken plugin, if known."""
    effects: str = ""
    """What it changed in the process while it was loaded, such as "changed the umask, which was undone"."""


class Plugins:
    """Loads plugins into a pluggy manager and records the outcome of each.

    ``zoo_register`` is a historic hook: it runs when a plugin is added. So the owner of each name is known, an error
    belongs to one plugin, and plugins added later (in a test or a notebook) are handled like installed ones.
    """

    def __init__(self, registry: Registry) -> None:
        self.registry = registry
        self.infos: list[PluginInfo] = []
        self.manager = pluggy.PluginManager("zoo")
        self.manager.add_hookspecs(hookspecs)
        self.manager.hook.zoo_register.call_historic(kwargs={"registry": registry})

    def load_installed(self, choice: PluginChoice | None = None) -> None:
        """Load every plugin with an entry point in the group ``zoo``, sorted by name.

        Plugins that ``choice`` excludes are not imported.
        """
        choice = choice or PluginChoice.of_user()
        for entry_point in sorted(entry_points(group=GROUP), key=lambda point: (point.name, point.value)):
            self._load_installed(entry_point, choice.why_not(entry_point.name))

    def load_files(self, paths: Iterable[Path]) -> None:
        """Load single-file plugins that the user listed.

        Raises:
            BadFile: if a file does not exist.
            BrokenPlugin: if a plugin does not load. Unlike for installed plugins this is an error, as it was requested.
        """
        for path in paths:
            if not path.is_file():
                raise BadFile(f"the plugin {path} does not exist.", "Give the .py file of a plugin.")
            known: dict[str, Any] = {"name": path.stem, "distribution": "your file", "version": "", "target": str(path)}
            self._load({**known, "location": str(path.parent)}, partial(_import_file, path))
            if self.infos[-1].state == "broken":
                broken = self.infos[-1]
                raise BrokenPlugin(f"the plugin {path} did not load: {broken.why}", broken.hint or "Fix the file.")

    def add(self, name: str, plugin: object) -> None:
        """Register ``plugin`` and call its ``zoo_register``. If that fails, all that it registered is removed."""
        if self.manager.has_plugin(name):
            raise NameTaken(
                f"another distribution also contains a plugin called '{name}'.", "Uninstall one of the two."
            )
        if plugin is None:
            raise BrokenPlugin("its entry point leads to None.", "Its target should be a module or an object.")
        _check_api(plugin)
        hookspecs.refuse_not_run(plugin, "it")
        with self.registry.owned_by(name):
            try:
                self.manager.register(plugin, name=name)
                self.manager.check_pending()  # raises for a misspelt hook
                hookspecs.refuse_unmarked(self.manager, plugin, "it")
            except BaseException:
                if self.manager.has_plugin(name):
                    self.manager.unregister(name=name)
                raise

    @property
    def broken(self) -> list[PluginInfo]:
        return [info for info in self.infos if info.state == "broken"]

    @property
    def disabled(self) -> list[PluginInfo]:
        return [info for info in self.infos if info.state == "disabled"]

    def _load_installed(self, entry_point: EntryPoint, why_not: str) -> None:
        distribution = entry_point.dist
        name, version = _name_and_version(distribution) if distribution else ("unknown", "")
        known: dict[str, Any] = {
            "name": entry_point.name,
            "distribution": name,
            "version": version,
            "target": entry_point.value,
            "location": str(distribution.locate_file("")) if distribution else "",
        }
        if why_not:
            self.infos.append(PluginInfo(**known, state="disabled", why=why_not))
        else:
            self._load(known, entry_point.load)

    def _load(self, known: dict[str, Any], import_plugin: Callable[[], Any]) -> None:
        torch_was_imported = "torch" in sys.modules
        start = time.perf_counter()
        failed = None
        try:
            with isolated(known["name"]) as here:
                try:
                    self.add(known["name"], import_plugin())
                except BaseException as error:
                    if here.interrupts.caused(error):
                        raise
                    failed = failure(error, known["target"])
        except BrokenPlugin as error:  # it took too long
            failed = failure(error, known["target"])
        if failed:
            state: dict[str, Any] = {"state": "broken", **vars(failed)}
        else:
            why = "imports torch at registration" if "torch" in sys.modules and not torch_was_imported else ""
            state = {"state": "loaded", "why": why, "milliseconds": 1000 * (time.perf_counter() - start)}
        self.infos.append(PluginInfo(**known, **state, effects=str(here)))


def installed_names() -> set[str]:
    """The names of all installed plugins, none of which is loaded."""
    return {entry_point.name for entry_point in entry_points(group=GROUP)}


@cache
def _name_and_version(distribution: Distribution) -> tuple[str, str]:
    """Name and version from the metadata, cached because every access parses the file."""
    metadata = distribution.metadata
    return metadata["Name"], metadata["Version"]


def _check_api(plugin: object) -> None:
    """Raise BrokenPlugin if the plugin's ``zoo_api_version``, which is optional, is invalid or too new."""
    wanted = getattr(plugin, "zoo_api_version", API_VERSION)
    if not isinstance(wanted, int) or isinstance(wanted, bool):
        raise BrokenPlugin(f"its zoo_api_version is {wanted!r}, but should be a number such as {API_VERSION}.")
    if wanted > API_VERSION:
        raise BrokenPlugin(
            f"it needs version {wanted} of the plugin API, but this zoo has version {API_VERSION}.",
            "Update zoo: pip install --upgrade zoo-core",
        )


def _import_file(path: Path) -> Any:
    """The module in the file ``path``, added to ``sys.modules`` so that its registered targets can be imported."""
    from importlib.util import module_from_spec, spec_from_file_location

    name = path.stem
    if not name.isidentifier():
        raise BrokenPlugin(f"'{path.name}' is not a module name.", "Use only letters, digits and _.")
    imported = sys.modules.get(name)
    same = imported is not None and getattr(imported, "__file__", None) == str(path.absolute())
    if same and name not in sys.stdlib_module_names:
        return imported  # by another catalog of this process: a trainer that loads weights creates a second one
    if imported is not None or name in sys.stdlib_module_names:
        raise BrokenPlugin(f"there is another module called '{name}'.", "Give the file another name.")
    spec = spec_from_file_location(name, path.absolute())
    if spec is None or spec.loader is None:
        raise BrokenPlugin(f"{path} is not a Python file.", "Its name should end in .py.")
    module = sys.modules[name] = module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module
