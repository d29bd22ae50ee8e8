"""The installed plugins: each loaded by itself, so that a broken one harms nobody else."""

from __future__ import annotations

import sys
import time
import traceback
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache, partial
from importlib.metadata import Distribution, EntryPoint, entry_points
from pathlib import Path
from typing import Any, Literal

import pluggy

from zoo_core import hookspecs
from zoo_core.errors import BadFile, BrokenPlugin, NameTaken, ZooError
from zoo_core.registry.isolation import guarded
from zoo_core.registry.registry import Registry
from zoo_core.registry.selection import PluginChoice

GROUP = "zoo"
API_VERSION = 1
State = Literal["loaded", "broken", "disabled"]


@dataclass(frozen=True)
class PluginInfo:
    """A plugin and how its loading went."""

    name: str
    distribution: str
    version: str
    state: State
    why: str = ""
    milliseconds: float = 0.0
    target: str = ""
    """The module that its entry point names, or the file that the user named."""
    location: str = ""
    """The folder it is installed in."""
    traceback: str = ""
    hint: str = ""
    """What mends a broken one, where zoo knows."""


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

    def load_installed(self, choice: PluginChoice | None = None) -> None:
        """Load every plugin with an entry point in the group ``zoo``, in the order of their names.

        One that ``choice`` leaves out is not imported.
        """
        choice = choice or PluginChoice.of_user()
        for entry_point in sorted(entry_points(group=GROUP), key=lambda point: (point.name, point.value)):
            self._load_installed(entry_point, choice.why_not(entry_point.name))

    def load_files(self, paths: Iterable[Path]) -> None:
        """Load plugins that are single files, which the user has named.

        Raises:
            BadFile: if one is not there.
            BrokenPlugin: if one does not load: it was asked for.
        """
        for path in paths:
            if not path.is_file():
                raise BadFile(f"the plugin {path} does not exist.", "Give the .py file of a plugin.")
            told: dict[str, Any] = {"name": path.stem, "distribution": "your file", "version": "", "target": str(path)}
            self._load({**told, "location": str(path.parent)}, partial(_import_file, path))
            if self.infos[-1].state == "broken":
                broken = self.infos[-1]
                raise BrokenPlugin(f"the plugin {path} did not load: {broken.why}", broken.hint or "Mend the file.")

    def add(self, name: str, plugin: object) -> None:
        """Register ``plugin`` now. Its ``zoo_register`` runs at once, and nothing of it stays if that fails."""
        if self.manager.has_plugin(name):
            raise NameTaken(f"another distribution brings a plugin called '{name}', too.", "Uninstall one of the two.")
        _check_api(plugin)
        with self.registry.owned_by(name):
            try:
                self.manager.register(plugin, name=name)
                self.manager.check_pending()  # a misspelt hook is this plugin's fault
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
        told: dict[str, Any] = {
            "name": entry_point.name,
            "distribution": name,
            "version": version,
            "target": entry_point.value,
            "location": str(distribution.locate_file("")) if distribution else "",
        }
        if why_not:
            self.infos.append(PluginInfo(**told, state="disabled", why=why_not))
        else:
            self._load(told, entry_point.load)

    def _load(self, told: dict[str, Any], bring: Callable[[], Any]) -> None:
        torch_was_there = "torch" in sys.modules
        start = time.perf_counter()
        try:
            with guarded():
                self.add(told["name"], bring())
        except (Exception, SystemExit) as error:
            said = error.message if isinstance(error, ZooError) else f"{type(error).__name__}: {error}"
            why = " ".join(said.split())  # one line, as `zoo plugins` has
            hint = (error.hint or "") if isinstance(error, ZooError) else ""
            trace = "".join(traceback.format_exception(error))
            self.infos.append(PluginInfo(**told, state="broken", why=why, hint=hint, traceback=trace))
        else:
            took = 1000 * (time.perf_counter() - start)
            why = "imports torch at registration" if "torch" in sys.modules and not torch_was_there else ""
            self.infos.append(PluginInfo(**told, state="loaded", why=why, milliseconds=took))


@cache
def _name_and_version(distribution: Distribution) -> tuple[str, str]:
    """Of its metadata, whose file is parsed at every access."""
    metadata = distribution.metadata
    return metadata["Name"], metadata["Version"]


def _check_api(plugin: object) -> None:
    """A plugin may say, as ``zoo_api_version = 1``, for which version of what plugins may use it was written."""
    wanted = getattr(plugin, "zoo_api_version", API_VERSION)
    if not isinstance(wanted, int) or isinstance(wanted, bool):
        raise BrokenPlugin(f"its zoo_api_version is {wanted!r}, but should be a number such as {API_VERSION}.")
    if wanted > API_VERSION:
        raise BrokenPlugin(
            f"it is written for version {wanted} of what plugins may use, but this zoo has {API_VERSION}.",
            "Update zoo: pip install --upgrade zoo-core",
        )


def _import_file(path: Path) -> Any:
    """The module in the file ``path``, importable by its name from now on, as its registered targets need it."""
    from importlib.util import module_from_spec, spec_from_file_location

    name = path.stem
    if not name.isidentifier():
        raise BrokenPlugin(f"'{path.name}' is no name of a module.", "Use letters, digits and _ only.")
    known = sys.modules.get(name)
    same = known is not None and getattr(known, "__file__", None) == str(path.absolute())
    if same and name not in sys.stdlib_module_names:
        return known  # another catalog of this process has it: a trainer that loads weights makes one beside the run's
    if known is not None or name in sys.stdlib_module_names:
        raise BrokenPlugin(f"there is another module called '{name}'.", "Give the file another name.")
    spec = spec_from_file_location(name, path.absolute())
    if spec is None or spec.loader is None:
        raise BrokenPlugin(f"{path} is no Python file.", "Its name should end in .py.")
    module = sys.modules[name] = module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module
