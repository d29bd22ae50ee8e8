"""The arguments of ``predict`` that are files, and the plurals under which they take many."""

from __future__ import annotations

from dataclasses import dataclass
from inspect import Parameter, signature
from pathlib import Path
from typing import Any, Literal, get_args, get_type_hints

from zoo_core.model import Model

FileKind = Literal["image", "video", "any"]
_KINDS: dict[str, FileKind] = {"image": "image", "video": "video"}
_NAMES: dict[str, FileKind] = {"image": "image", "clip": "video", "video": "video", "audio": "any", "file": "any"}
"""Names of arguments whose text is the path of a file; that of others may be any text."""


@dataclass(frozen=True)
class FileArgument:
    """An argument of ``predict`` that is the path of a file."""

    name: str
    plural: str
    kind: FileKind
    """Which files in a folder are meant; any, if the model has no control for it."""
    takes_path: bool
    """Whether it is a ``Path``, and no text."""
    is_asked: bool = True
    """Whether the model asks for it; not if it has controls for other files only."""

    def given(self, path: Path) -> str | Path:
        """The value of the argument for a file."""
        return path if self.takes_path else str(path)


def file_arguments(model: Model) -> dict[str, FileArgument]:
    """By name, the arguments with a control for an image or a video, or annotated as a ``Path``, or as a text and named
    after a file."""
    hints, controls = _hints(model), model.controls()
    parameters = signature(model.predict).parameters
    asks = any(control.kind in _KINDS for control in controls.values())
    found = {}
    for name, parameter in parameters.items():
        control, types = controls.get(name), get_args(hints.get(name)) or (hints.get(name),)
        if parameter.kind not in (Parameter.POSITIONAL_OR_KEYWORD, Parameter.KEYWORD_ONLY):
            continue
        if control is not None and control.kind not in _KINDS:
            continue
        if control is None and Path not in types and not (str in types and name in _NAMES):
            continue
        kind = _KINDS[control.kind] if control else _NAMES.get(name, "any")
        plural = (control.plural if control else "") or ("" if name.endswith("s") else f"{name}s")
        takes_path = Path in types and str not in types
        is_asked = control is not None or not asks or parameter.default is Parameter.empty
        found[name] = FileArgument(name, "" if plural in parameters else plural, kind, takes_path, is_asked)
    return found


def _hints(model: Model) -> dict[str, Any]:
    try:
        return get_type_hints(model.predict)
    except (NameError, AttributeError):  # names that are imported for type checkers only
        return {}
