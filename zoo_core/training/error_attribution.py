"""Attributes an error to the component of a run whose code raised it: the model, the dataset or the trainer."""

from __future__ import annotations

import inspect
import re
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

from zoo_core.engine.shutdown import ends_on_signals, received
from zoo_core.errors import RunFailed, ZooError, raised
from zoo_core.registry.requirements import explain
from zoo_core.training.signals import Interrupted

_LONGEST = 600  # characters of an error of a plugin
_HINT = "--traceback shows more."
_EXIT_HINT = "A plugin should raise an error instead of ending the process."


def is_from_outside(error: BaseException) -> bool:
    """Whether an error ends the work from outside, as a signal does, and is not one of a plugin's code.

    In a command no signal raises KeyboardInterrupt, so one without a signal was raised by a plugin.
    """
    if isinstance(error, KeyboardInterrupt):
        return not ends_on_signals() or bool(received())
    return isinstance(error, Interrupted)


def hint_for(error: BaseException, otherwise: str = _HINT) -> str:
    """What to do about an error of a plugin's code."""
    return _EXIT_HINT if isinstance(error, SystemExit) else otherwise


def defined_at(function: Any) -> str:
    """Where a function or a method of a plugin is defined, such as `` (my_package/trainer.py, line 12)``; or ""."""
    code = getattr(inspect.unwrap(function), "__code__", None)
    return f" ({_short(code)}, line {code.co_firstlineno})" if isinstance(code, CodeType) else ""


def method_of(part: str, name: str, component: object, method: str) -> str:
    """What errors call a method of a component: ``step of the trainer 'mine' (my_package/trainer.py, line 12)``."""
    return f"{method} of the {part} '{name}'{defined_at(getattr(type(component), method, None))}"


def place_in(error: BaseException, module: str) -> str:
    """Where the code of a module, or one that it has called, raised: `` (my_package/hooks.py, line 12)``; or ""."""
    found = ""
    for frame, line in traceback.walk_tb(error.__traceback__):
        if frame.f_globals.get("__name__") == module:
            found = f" ({_short(frame.f_code)}, line {line})"
    return found


def attribute_error(error: BaseException, classes: Mapping[str, type[Any]]) -> str:
    """``"the trainer 'mine' raised ValueError: … (my_package/trainer.py, line 12)"``.

    ``classes`` are the components of a run by their description. The error belongs to the one in whose package the
    innermost such frame is. Without one, the result is only the error.
    """
    return _culprit(error, classes) or raised(error, _LONGEST)


@contextmanager
def attributing_errors(classes: Mapping[str, type[Any]], when: str = "") -> Iterator[None]:
    """Raises RunFailed for an error in the code of a component that is not a ZooError; other errors are not changed.

    What is not an Exception is one, too: SystemExit would end a run that has not finished with exit code 0.
    """
    try:
        yield
    except BaseException as error:
        if isinstance(error, ZooError) or is_from_outside(error):
            raise
        if missing := explain(error):
            raise missing from error
        found = _culprit(error, classes)
        if not found and isinstance(error, Exception):
            raise
        raise RunFailed(f"{found or raised(error)}{when}.", hint_for(error)) from error


def _culprit(error: BaseException, classes: Mapping[str, type[Any]]) -> str:
    place, text = "", raised(error, _LONGEST)
    for frame, line in reversed(list(traceback.walk_tb(error.__traceback__))):
        ours = [name for name, component in classes.items() if _is_of(frame, component)]
        # If a file contains several components, the object whose method this is decides, or the one that called it.
        actor = [name for name in ours if isinstance(frame.f_locals.get("self"), classes[name])]
        place = place or (f"({_short(frame.f_code)}, line {line})" if ours else "")
        if actor or len(ours) == 1:
            return f"{(actor or ours)[0]} raised {text} {place}"
    return f"{text} {place}" if place else _called(error, text, classes)


def _called(error: BaseException, text: str, classes: Mapping[str, type[Any]]) -> str:
    """The component with a method that takes other arguments than it was given; such a call has no frame of its own."""
    named = re.match(r"([\w.<>]+)\(\) (takes|missing|got) ", str(error)) if isinstance(error, TypeError) else None
    called = named[1] if named else "-"
    for name, component in classes.items():
        for function in (one for kind in component.__mro__ for one in vars(kind).values()):
            if getattr(function, "__qualname__", "") == called and (place := defined_at(function)):
                return f"{name} raised {text}{place}"
    return ""


def _short(code: CodeType) -> str:
    file = Path(code.co_filename)
    return f"{file.parent.name}/{file.name}"


def _is_of(frame: FrameType, component: type[Any]) -> bool:
    """Whether the code of ``frame`` is in the module of ``component`` or in its package."""
    module, home = str(frame.f_globals.get("__name__", "")), component.__module__
    package = home.rpartition(".")[0]
    return module == home or bool(package and (module == package or module.startswith(f"{package}.")))
