"""The arguments of ``predict`` that are files, and the plurals under which they take many."""

from __future__ import annotations

from dataclasses import dataclass
from inspect import Parameter, signature
from pathlib import Path
from typing import Any, Literal, get_args, get_type_hints

from zoo_core.model import Model

FileKind = Literal["image", "video", "any"]


@dataclass(frozen=True)
class FileArgument:
    """An argument of ``predict`` that is the path of a file."""

    name: str
    plural: str
    kind: FileKind
    """Which files in a folder are meant; any, if the model has no control for it."""
    takes_path: bool
    """Whether it is a ``Path``, and no text."""

    def given(self, path: Path) -> str | Path:
        """The value of the argument for a file."""
        return path if self.takes_path else str(path)


def file_arguments(model: Model) -> dict[str, FileArgument]:
    """By name, the arguments that are annotated as a ``Path``, or have a control for an image or a video."""
    parameters, hints, controls = signature(model.predict).parameters, _hints(model), model.controls()
    found = {}
    for name, parameter in parameters.items():
        control = controls.get(name)
        types = get_args(hints.get(name)) or (hints.get(name),)
        is_file = control is not None and control.kind in ("image", "video")
        if not is_file and (controls or Path not in types) and not (Path in types and control is None):
            continue
        if parameter.kind not in (Parameter.POSITIONAL_OR_KEYWORD, Parameter.KEYWORD_ONLY):
            continue
        kind: FileKind = control.kind if is_file and control else "any"  # type: ignore[assignment]  # one of the two
        plural = (control.plural if control else "") or ("" if name.endswith("s") else f"{name}s")
        found[name] = FileArgument(
            name, "" if plural in parameters else plural, kind, str not in types and Path in types
        )
    return found


def _hints(model: Model) -> dict[str, Any]:
    try:
        return get_type_hints(model.predict)
    except (NameError, AttributeError):  # names that are imported for type checkers only
        return {}
