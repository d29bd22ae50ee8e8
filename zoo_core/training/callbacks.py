"""Calls the life-cycle hooks of plugins and callbacks. One that raises is disabled, and the training continues."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterable
from typing import Any

import pluggy

from zoo_core import hookspecs
from zoo_core.config.naming import unused_name
from zoo_core.errors import BrokenPlugin, did_you_mean, one_line, raised
from zoo_core.terminal import say


class CallbackList:
    """The hooks of one run: those of the installed plugins and those of its callbacks."""

    def __init__(self, plugins: pluggy.PluginManager, callbacks: Iterable[object] = ()) -> None:
        self._manager = pluggy.PluginManager("zoo")
        self._manager.add_hookspecs(hookspecs)
        for name, plugin in plugins.list_name_plugin():
            if plugin is not None:
                self._manager.register(plugin, name=name)
        for callback in callbacks:
            self._add(callback, unused_name(type(callback).__name__, self._manager.has_plugin))
        self._calls = {name: self._implementations(name) for name in dir(self._manager.hook) if name.startswith("zoo_")}

    def call(self, hook: str, **arguments: Any) -> None:
        """Call every implementation of ``hook``, each by itself, so that the others are called if one fails."""
        if os.environ.get("ZOO_TRACE"):
            say(f"{hook}({', '.join(map(str, arguments))})", err=True)
        for implementation in list(self._calls[hook]):
            try:
                implementation.function(*(arguments[name] for name in implementation.argnames))
            except (Exception, SystemExit) as error:  # rich exits if the reader of a pipe has ended
                self._disable(implementation, hook, error)

    def _implementations(self, hook: str) -> list[pluggy.HookImpl]:
        # pluggy keeps them in the order of registration and calls the last one first.
        found = list(reversed(getattr(self._manager.hook, hook).get_hookimpls()))
        for implementation in found:
            if implementation.hookwrapper or implementation.wrapper:
                source = f"the plugin '{implementation.plugin_name}'"
                raise BrokenPlugin(f"{source} wraps {hook}, which accepts no wrappers.", "Write it as a plain hook.")
        return found

    def _add(self, callback: object, name: str) -> None:
        source = f"the callback {name}"
        try:
            self._manager.register(callback, name=name)
            self._manager.check_pending()
        except pluggy.PluginValidationError as error:
            known = [one for one in dir(hookspecs) if one.startswith("zoo_")]  # not those of manager.hook
            wrong = next((one for one in dir(callback) if one.startswith("zoo_") and one not in known), "")
            raise BrokenPlugin(
                f"{source} does not fit the hooks: {one_line(str(error))}",
                did_you_mean(wrong, known) if wrong else "docs/plugins/reference.md lists the arguments of each hook.",
            ) from error
        hookspecs.refuse_unmarked(self._manager, callback, source)

    def _disable(self, failed: pluggy.HookImpl, hook: str, error: BaseException) -> None:
        for hook_name, implementations in self._calls.items():
            self._calls[hook_name] = [one for one in implementations if one.plugin is not failed.plugin]
        reason = f"{hook} raised {raised(error)}"
        warnings.warn(f"the plugin '{failed.plugin_name}' is disabled for the rest of the run: {reason}", stacklevel=2)
