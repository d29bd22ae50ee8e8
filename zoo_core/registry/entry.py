"""A registered component: its name, the plugin that registered it, and the path of its class."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from contextlib import redirect_stdout
from dataclasses import dataclass, field, is_dataclass
from importlib import import_module
from typing import Any, Literal, get_args

from zoo_core.errors import BrokenPlugin, raised
from zoo_core.registry.interrupts import Interrupts
from zoo_core.registry.requirements import install_command
from zoo_core.registry.variant import variant

Kind = Literal["model", "trainer", "dataset", "task", "logger", "optimizer", "schedule"]
KINDS: tuple[Kind, ...] = get_args(Kind)
CALLED: tuple[Kind, ...] = ("optimizer", "schedule")
"""Kinds whose target is a function, or a class that is called as one, and has no Config."""
BUILT_IN = "zoo-core"
"""The owner of what zoo itself registers, in every catalog."""


@dataclass(frozen=True)
class Entry:
    """One registered class or function. ``target`` is ``"package.module:Class"``, imported only when it is used."""

    kind: Kind
    name: str
    plugin: str
    target: str
    summary: str
    paper: str
    license: str
    tags: tuple[str, ...] = ()
    settings: Mapping[str, Any] = field(default_factory=dict, hash=False)
    """Other defaults of its settings than those of the class."""
    member: str = ""
    """Of a family: the name without the prefix."""

    @property
    def full_name(self) -> str:
        return f"{self.plugin}/{self.name}"

    def load(self) -> Any:
        """Import the class or function.

        Raises:
            BrokenPlugin: if the module can't be imported, or the class is not there.
        """
        module, _, attribute = self.target.partition(":")
        interrupts = Interrupts()
        try:
            # A module that prints must not corrupt a command's JSON.
            with interrupts.noted(), redirect_stdout(sys.stderr):
                loaded = getattr(import_module(module), attribute)
        except BrokenPlugin:
            raise
        except BaseException as error:  # a plugin's code may raise anything
            if interrupts.caused(error):
                raise
            why = raised(error)
            if isinstance(error, (ImportError, AttributeError)):
                why = why.removeprefix(f"{type(error).__name__}: ")
            missing = error.name if isinstance(error, ModuleNotFoundError) else None
            command = install_command(missing, module, self.plugin) if missing else None
            raise BrokenPlugin(
                f"{self.kind} '{self.full_name}' could not be imported from '{self.target}': {why}",
                f"Install what the plugin '{self.plugin}' needs: {command}"
                if command
                else f"Reinstall or update the plugin '{self.plugin}'; `zoo plugins` shows its version.",
            ) from error
        if self.kind == "logger":
            return self._checked_logger(loaded)
        if self.kind in CALLED:
            if not callable(loaded):
                raise BrokenPlugin(
                    f"{self.kind} '{self.full_name}': '{self.target}' is {loaded!r}, but should be a function or a "
                    "class.",
                    f"Ask the author of the plugin '{self.plugin}' to register one.",
                )
            return loaded
        home = "registry." if self.kind == "task" else ""
        base = getattr(import_module(f"zoo_core.{home}{self.kind}"), self.kind.capitalize())
        if not (isinstance(loaded, type) and issubclass(loaded, base)):
            raise BrokenPlugin(
                f"{self.kind} '{self.full_name}': '{self.target}' is {loaded!r}, but should be a zoo.{base.__name__}.",
                f"Ask the author of the plugin '{self.plugin}' to register a subclass of it.",
            )
        if abstract := sorted(getattr(loaded, "__abstractmethods__", ())):
            raise BrokenPlugin(
                f"{self.kind} '{self.full_name}': '{self.target}' does not define {' and '.join(abstract)}.",
                f"Define {'it' if len(abstract) == 1 else 'them'}: every {self.kind} needs it.",
            )
        if self.kind == "task":
            return loaded
        if not is_dataclass(getattr(loaded, "Config", None)):
            raise BrokenPlugin(
                f"{self.kind} '{self.full_name}': '{self.target}' has no Config.",
                "Define it in the class, as `class Config:`, and do not replace it later.",
            )
        return variant(loaded, self.settings, self.member, f"{self.kind} '{self.full_name}'")

    def _checked_logger(self, loaded: Any) -> type[Any]:
        if not isinstance(loaded, type):
            raise BrokenPlugin(
                f"logger '{self.full_name}': '{self.target}' is {loaded!r}, but should be a class.",
                f"Ask the author of the plugin '{self.plugin}' to register a class whose methods are hooks.",
            )
        return loaded
