"""Calls the life-cycle hooks of plugins and callbacks. One that raises is disabled, and the training continues.

Each gets copies of the metrics and images, and what it sets of the run is undone: the results of a run are those of its
trainer, whatever is installed beside it.
"""

from __future__ import annotations

import inspect
import os
import warnings
from collections.abc import Iterable, Mapping
from copy import deepcopy
from pathlib import Path
from typing import Any

import pluggy

from zoo_core import hookspecs
from zoo_core.config.naming import unused_name
from zoo_core.data.values import copied
from zoo_core.errors import BrokenPlugin, did_you_mean, one_line, raised
from zoo_core.runs.run import Run
from zoo_core.terminal import say
from zoo_core.training.error_attribution import is_from_outside, place_in


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
        self._lasting: _Lasting | None = None
        self._calls = {name: self._implementations(name) for name in dir(self._manager.hook) if name.startswith("zoo_")}

    def call(self, hook: str, **arguments: Any) -> None:
        """Call every implementation of ``hook``, each by itself, so that the others are called if one fails."""
        if os.environ.get("ZOO_TRACE"):
            say(f"{hook}({', '.join(map(str, arguments))})", err=True)
        run = arguments.get("run")
        if self._lasting is None and isinstance(run, Run):
            self._lasting = _Lasting(run)
        for implementation in list(self._calls[hook]):
            own = is_own(implementation.plugin)
            before = {} if own else _attributes(run)
            given = (arguments[name] for name in implementation.argnames)
            try:
                # Each copy of a tensor is work for the device, so those that only read get none.
                implementation.function(*(given if own else map(copied, given)))
            except BaseException as error:  # also SystemExit: rich exits if the reader of a pipe has ended
                if is_from_outside(error):
                    raise
                place = place_in(error, module_of(implementation.plugin))
                self._disable(implementation, f"{hook} raised {raised(error)}{place}")
            if name := _restore(run, before) or ("" if own else self._restore_lasting(run)):
                self._disable(implementation, f"{hook} sets run.{name}, which hooks may only read")

    def _restore_lasting(self, run: Any) -> str:
        return self._lasting.restore(run) if self._lasting else ""

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

    def _disable(self, failed: pluggy.HookImpl, reason: str) -> None:
        for hook_name, implementations in self._calls.items():
            self._calls[hook_name] = [one for one in implementations if one.plugin is not failed.plugin]
        warnings.warn(f"the plugin '{failed.plugin_name}' is disabled for the rest of the run: {reason}", stacklevel=2)


def module_of(plugin: object) -> str:
    """The module of a plugin, which is one itself, or of the class of a callback."""
    return str(getattr(plugin, "__name__", "") if inspect.ismodule(plugin) else type(plugin).__module__)


def is_own(plugin: object) -> bool:
    """Whether this is a callback of zoo_core, which only reads."""
    return module_of(plugin).partition(".")[0] == "zoo_core"


_METRICS = ("train_metrics", "validation_metrics", "test_metrics")


def _attributes(run: Any) -> dict[str, Any]:
    """What hooks may read of a run, and not set."""
    values = vars(run) if isinstance(run, Run) else {}
    return {name: dict(value) if name in _METRICS else value for name, value in values.items()}


class _Lasting:
    """What hooks could change below the attributes of a run and what is the same in all of it: its recipe, which the
    checkpoints and the weights contain, and the paths of its files."""

    def __init__(self, run: Run) -> None:
        self._values = deepcopy(dict(run.recipe.values))
        self._paths = {name: path for name, path in vars(run.folder).items() if isinstance(path, Path)}

    def restore(self, run: Run) -> str:
        """Undo what a hook has changed; returns the name of it, or ""."""
        if run.recipe.values != self._values:
            object.__setattr__(run.recipe, "values", deepcopy(self._values))
            return "recipe.values"
        paths = vars(run.folder)
        if changed := next((name for name, path in self._paths.items() if paths.get(name) != path), ""):
            paths.update(self._paths)
            return f"folder.{changed}"
        return ""


def _restore(run: Any, before: Mapping[str, Any]) -> str:
    """Undo what a hook has set of a run; returns the name of such an attribute, or "".

    Run.stop and Run.finish, which a signal may call as well, give a reason that nothing takes back.
    """
    changed = ""
    for name, value in before.items():
        now = vars(run).get(name)
        if name in ("stopping", "finishing"):
            kept = isinstance(now, str) and (not value or now == value)
        else:
            kept = now is value or (name in _METRICS and now == value)
        if not kept:
            vars(run)[name] = value
            changed = changed or name
    return changed
