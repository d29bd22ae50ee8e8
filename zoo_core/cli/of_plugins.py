"""What plugins have to do with the command line: the commands that they add, and how they can end it."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from functools import partial
from shlex import quote
from typing import NoReturn

import click

from zoo_core.errors import BrokenPlugin, raised
from zoo_core.registry.load_limit import LoadLimit
from zoo_core.registry.process_exit import exit_at_once, raise_instead_of_exit
from zoo_core.terminal import say_at_once


def add_commands(group: click.Group, called: set[str]) -> None:
    """Call the hook ``zoo_commands`` of every plugin that is not in ``called``.

    An error in one plugin does not affect the others.
    """
    from zoo_core.registry import catalog

    for implementation in catalog.default().plugins.manager.hook.zoo_commands.get_hookimpls():
        name = implementation.plugin_name
        if name not in called:
            called.add(name)
            if why := _why_not(name, partial(implementation.function, group)):
                warnings.warn(f"the plugin '{name}' could not add its commands: {why}", stacklevel=2)


def _why_not(plugin: str, add: Callable[[], object]) -> str:
    """Why a plugin could not add its commands, or ""."""
    from zoo_core.registry.isolation import isolated

    why = ""
    try:
        with isolated(plugin) as here:
            try:
                add()
            except BaseException as error:
                if here.interrupts.caused(error):
                    raise
                why = raised(error)
    except BrokenPlugin as error:  # it took too long
        why = error.message
    return why


def contain_exits() -> None:
    """From now on, a plugin ends this command only by an error, and one that does not stop loading ends it."""
    LoadLimit.on_stuck = _end_stuck
    raise_instead_of_exit()


def _end_stuck(plugin: str) -> NoReturn:
    """End the command, since a plugin catches whatever interrupts it. This is called in another thread."""
    say_at_once(f"error: the plugin '{plugin}' does not stop loading.")
    say_at_once(f"  Disable it: zoo plugins disable {quote(plugin)}")
    exit_at_once(BrokenPlugin.exit_code)
