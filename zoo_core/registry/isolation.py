"""Isolation of a plugin that is being loaded: its output, its time, and what it changes in the process."""

from __future__ import annotations

import sys
import threading
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from zoo_core.errors import BrokenPlugin, ZooError, raised
from zoo_core.registry.interrupts import Interrupts
from zoo_core.registry.left_running import waits_for_none
from zoo_core.registry.load_limit import LoadLimit, TooLong
from zoo_core.registry.plugin_streams import own_streams
from zoo_core.registry.process_state import ProcessState
from zoo_core.registry.requirements import install_command

_one_at_a_time = threading.RLock()  # streams and signals are those of the process


@dataclass
class Effects:
    """What a plugin did to the process while it was loaded."""

    interrupts: Interrupts = field(default_factory=Interrupts)
    undone: list[str] = field(default_factory=list)
    """What it changed, which was changed back."""
    left: list[str] = field(default_factory=list)
    """Threads and processes that it left running."""

    def __str__(self) -> str:
        """What it did, without a subject; "" if it did nothing."""
        shown = [f"{', '.join(self.undone[:4])}{f' and {len(self.undone) - 4} more' if self.undone[4:] else ''}"]
        changed = [f"changed {shown[0]}, which was undone"] if self.undone else []
        return "; ".join([*changed, *(f"left {one}" for one in self.left)])


@dataclass(frozen=True)
class Failure:
    """Why a plugin could not be loaded, in plain text."""

    why: str
    hint: str = ""
    traceback: str = ""


@contextmanager
def isolated(plugin: str) -> Iterator[Effects]:
    """In this context, standard output goes to standard error, and what the block changes in the process is undone.

    The block is interrupted after a time limit, see :class:`.load_limit.LoadLimit`.

    Raises:
        BrokenPlugin: if the block took too long.
    """
    limit = LoadLimit(plugin)
    limit.undoing = sys._getframe().f_code
    effects = Effects()
    try:
        with (
            _one_at_a_time,
            own_streams(effects.undone),
            limit.handling_signals(),
            effects.interrupts.noted(),
            waits_for_none(effects.left),
            limit.limited(),
        ):
            state = ProcessState()
            limit.on_torch = state.remember_torch
            try:
                yield effects
            finally:
                limit.end()
                effects.undone += state.undo()  # first of all, since it may have changed what the others use
    except TooLong:
        raise BrokenPlugin(
            f"it took longer than {limit.seconds:g} s to load.", "Allow more time: ZOO_PLUGIN_TIMEOUT=60"
        ) from None


def failure(error: BaseException, target: str) -> Failure:
    """The failure that ``error`` is, of the plugin whose entry point is ``target``.

    It runs code of the plugin, such as the ``__str__`` of its error, and belongs into :func:`isolated`.
    """
    try:
        ours = isinstance(error, ZooError)
        message = str(error.message) if isinstance(error, ZooError) else raised(error)
        hint = str(error.hint or "") if isinstance(error, ZooError) else _install_hint(error, target)
        # `zoo plugins` prints one line per plugin.
        return Failure(" ".join(message.split()) if ours else message, hint, "".join(traceback.format_exception(error)))
    except TooLong:
        raise
    except BaseException:  # of the error's own methods
        return Failure(f"{type(error).__name__}, whose text can't be read")


def _install_hint(error: BaseException, target: str) -> str:
    """How to install the module that a plugin lacks, if the plugin states it."""
    missing = error.name if isinstance(error, ModuleNotFoundError) else None
    command = missing and install_command(missing, target, file=target if target.endswith(".py") else None)
    return f"Install what it needs: {command}" if command else ""
