"""The error for an unknown name that a plugin may bring: one that is disabled, broken, or not installed."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from zoo_core.errors import BadFile, BrokenPlugin, UnknownName, nearest
from zoo_core.registry.plugin_index import KnownPlugin, PluginIndex
from zoo_core.registry.plugin_index_file import given_index, read_index
from zoo_core.registry.plugins import PluginInfo, Plugins

_SHOWN = 3


def explained(error: UnknownName, name: str, plugins: Plugins) -> UnknownName | BrokenPlugin:
    """``error`` with a better reason, if a plugin that is not loaded, or not installed, may bring ``name``."""
    owner = name.partition("/")[0]

    def is_named_after(plugin: PluginInfo) -> bool:
        return plugin.name in (owner, name) or name.startswith(f"{plugin.name}-")

    if told := _not_loaded(error, plugins, is_named_after):
        return told
    if told := _in_index(error, name, plugins):
        return told
    if plugins.broken and error.hint and not _suggests(error):
        names = ", ".join(f"'{broken.name}'" for broken in plugins.broken)
        return UnknownName(f"{error.message} Some plugins did not load: {names}.", "See `zoo plugins` for the reason.")
    return error


def _not_loaded(
    error: UnknownName, plugins: Plugins, may_bring: Callable[[PluginInfo], bool]
) -> UnknownName | BrokenPlugin | None:
    """The error if a plugin that may bring the name is installed, but disabled or broken."""
    for disabled in filter(may_bring, plugins.disabled):
        return UnknownName(
            f"{error.message} The plugin '{disabled.name}' is disabled.",
            f"{disabled.why[:1].upper()}{disabled.why[1:]}.",
        )
    for broken in filter(may_bring, plugins.broken):
        return BrokenPlugin(
            f"{error.message} The plugin '{broken.name}' is installed but did not load: {broken.why}",
            broken.hint or f"Fix or update it: pip install --upgrade {broken.distribution}",
        )
    return None


def _in_index(error: UnknownName, name: str, plugins: Plugins) -> UnknownName | BrokenPlugin | None:
    """The error if the user's index of plugins has the name, or can't be read."""
    source = given_index()
    if source is None:
        return None
    try:
        index = read_index(source)
    except BadFile as unreadable:
        problem = f"{error.message} {unreadable.message[:1].upper()}{unreadable.message[1:]}"
        return UnknownName(problem, error.hint if _suggests(error) else unreadable.hint)
    bringing = index.bringing(name)
    if missing := [plugin for plugin in bringing if not plugin.is_satisfied]:
        return UnknownName(f"{error.message} {_who(missing, name, index)}", _install(missing))
    distributions = {plugin.distribution for plugin in bringing}
    if told := _not_loaded(error, plugins, lambda plugin: plugin.distribution in distributions):
        return told
    return _similar(error, name, index)


def _who(missing: Sequence[KnownPlugin], name: str, index: PluginIndex) -> str:
    """Which distributions bring the name, by the index."""
    by = f"According to the plugin index {index.source},"
    if len(missing) > 1:
        names = [f"'{plugin.distribution}'" for plugin in missing[:_SHOWN]]
        return f"{by} the distributions {', '.join(names[:-1])} and {names[-1]} bring it."
    (one,) = missing
    older = f", but not its installed version {one.installed}" if one.installed else ""
    *others, last = one.kinds_of(name)
    kinds = f"{', the '.join(others)} and the {last}" if others else last
    return f"{by} the distribution '{one.distribution}' brings the {kinds} of this name{older}."


def _similar(error: UnknownName, name: str, index: PluginIndex) -> UnknownName | None:
    """The error with the name of a plugin that is not installed, if it is more similar than what the hint suggests."""
    found = index.similar(name)
    if found is None:
        return None
    similar, plugin = found
    if _suggests(error) and nearest(name, [(error.hint or "").split("'")[1], similar]) != similar:
        return None
    return UnknownName(
        error.message, f"Did you mean '{similar}', which '{plugin.distribution}' brings? Install it: {plugin.install}"
    )


def _install(missing: Sequence[KnownPlugin]) -> str:
    return f"Install it: {' or '.join(plugin.install for plugin in missing[:_SHOWN])}"


def _suggests(error: UnknownName) -> bool:
    return bool(error.hint and error.hint.startswith("Did you mean"))
