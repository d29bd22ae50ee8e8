"""Whose code an error came from: a run's model, data set or trainer."""

from __future__ import annotations

import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

from zoo_core.errors import RunFailed, ZooError


def attribute_error(error: BaseException, classes: Mapping[str, type[Any]]) -> str:
    """``"the trainer 'mine' raised ValueError: … (my_package/trainer.py, line 12)"``.

    ``classes`` are a run's components by what to call them. The innermost frame in a file of one of their packages
    says whose error it is; where there is none, only what was raised is told.
    """
    return _culprit(error, classes) or _raised(error)


@contextmanager
def attributing_errors(classes: Mapping[str, type[Any]], when: str = "") -> Iterator[None]:
    """Raises RunFailed for what the code of one of them raises, and is no ZooError; what else is raised stays."""
    try:
        yield
    except Exception as error:
        if isinstance(error, ZooError) or not (found := _culprit(error, classes)):
            raise
        raise RunFailed(f"{found}{when}.", "--traceback shows more.") from error


def _culprit(error: BaseException, classes: Mapping[str, type[Any]]) -> str:
    place, raised = "", _raised(error)
    for frame, line in reversed(list(traceback.walk_tb(error.__traceback__))):
        ours = [whose for whose, component in classes.items() if _is_of(frame, component)]
        # A file may hold several of them; the object whose method this is decides, or another that called it.
        actor = [whose for whose in ours if isinstance(frame.f_locals.get("self"), classes[whose])]
        place = place or (f"({_short(frame)}, line {line})" if ours else "")
        if actor or len(ours) == 1:
            return f"{(actor or ours)[0]} raised {raised} {place}"
    return f"{raised} {place}" if place else ""


def _raised(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__


def _short(frame: FrameType) -> str:
    file = Path(frame.f_code.co_filename)
    return f"{file.parent.name}/{file.name}"


def _is_of(frame: FrameType, component: type[Any]) -> bool:
    """Whether the code of ``frame`` lies in the module of ``component``, or in its package."""
    module, home = str(frame.f_globals.get("__name__", "")), component.__module__
    package = home.rpartition(".")[0]
    return module == home or bool(package and (module == package or module.startswith(f"{package}.")))
