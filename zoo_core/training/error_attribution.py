"""Attributes an error to the component of a run whose code raised it: the model, the dataset or the trainer."""

from __future__ import annotations

import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

from zoo_core.errors import RunFailed, ZooError, raised
from zoo_core.registry.requirements import explain

_LONGEST = 600  # characters of an error of a plugin


def attribute_error(error: BaseException, classes: Mapping[str, type[Any]]) -> str:
    """``"the trainer 'mine' raised ValueError: … (my_package/trainer.py, line 12)"``.

    ``classes`` are the components of a run by their description. The error belongs to the one in whose package the
    innermost such frame is. Without one, the result is only the error.
    """
    return _culprit(error, classes) or raised(error, _LONGEST)


@contextmanager
def attributing_errors(classes: Mapping[str, type[Any]], when: str = "") -> Iterator[None]:
    """Raises RunFailed for an error in the code of a component that is not a ZooError; other errors are not changed."""
    try:
        yield
    except Exception as error:
        if isinstance(error, ZooError):
            raise
        if missing := explain(error):
            raise missing from error
        if not (found := _culprit(error, classes)):
            raise
        raise RunFailed(f"{found}{when}.", "--traceback shows more.") from error


def _culprit(error: BaseException, classes: Mapping[str, type[Any]]) -> str:
    place, text = "", raised(error, _LONGEST)
    for frame, line in reversed(list(traceback.walk_tb(error.__traceback__))):
        ours = [name for name, component in classes.items() if _is_of(frame, component)]
        # If a file contains several components, the object whose method this is decides, or the one that called it.
        actor = [name for name in ours if isinstance(frame.f_locals.get("self"), classes[name])]
        place = place or (f"({_short(frame)}, line {line})" if ours else "")
        if actor or len(ours) == 1:
            return f"{(actor or ours)[0]} raised {text} {place}"
    return f"{text} {place}" if place else ""


def _short(frame: FrameType) -> str:
    file = Path(frame.f_code.co_filename)
    return f"{file.parent.name}/{file.name}"


def _is_of(frame: FrameType, component: type[Any]) -> bool:
    """Whether the code of ``frame`` is in the module of ``component`` or in its package."""
    module, home = str(frame.f_globals.get("__name__", "")), component.__module__
    package = home.rpartition(".")[0]
    return module == home or bool(package and (module == package or module.startswith(f"{package}.")))
