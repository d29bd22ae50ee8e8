"""From what a page sent to what ``predict`` is called with, and to what it gives, within limits. Knows no Gradio."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch.overrides import TorchFunctionMode

from zoo_core.config.control import Control
from zoo_core.data.image_io import clip_shape, read_frames, read_image
from zoo_core.errors import BadFile, ZooError, one_line
from zoo_core.model import Model
from zoo_core.tools.demo.controls import Asked

MOST_BYTES = 10 * 2**20
"""Of one upload."""
MOST_PIXELS = 2**20
"""Of one picture, or one frame."""
MOST_CLIP_PIXELS = 2**23
"""Of all frames of a clip together."""
MOST_SECONDS = 60.0
"""For one prediction."""


def arguments(asked: Asked, values: Mapping[str, Any]) -> dict[str, Any]:
    """What ``predict`` is called with: ``values`` checked, without those left empty.

    Raises:
        ZooError: if one is missing, or is not what its control takes; says which and why.
    """
    read = {name: _read(name, control, values.get(name)) for name, control in asked.controls.items()}
    missing = [name for name in asked.controls if name in asked.required and read[name] is None]
    if missing:
        control = asked.controls[missing[0]]
        verb = "Upload" if control.kind in ("image", "video") else "Set"
        raise ZooError(f"{missing[0]} is missing.", f"{verb} it first.")
    return {name: value for name, value in read.items() if value is not None}


def predict(model: Model, given: Mapping[str, Any], seconds: float = MOST_SECONDS) -> dict[str, Any]:
    """``model.predict(**given)``, ended before the next of its tensor operations when ``seconds`` have passed.

    Raises:
        ZooError: if that takes longer, or ``predict`` raises anything: its code is a plugin's.
    """
    try:
        with _Deadline(seconds):
            return model.predict(**given)
    except ZooError as error:
        raise ZooError(_without_folders(error.message, given), error.hint) from error
    except Exception as error:
        reason = _without_folders(one_line(f"{type(error).__name__}: {error}"), given)
        raise ZooError(f"{type(model).__name__}.predict failed: {reason}") from error


def _read(name: str, control: Control, value: Any) -> Any:
    value = control.read(name, value)
    if value is not None and control.kind in ("image", "video"):
        _check_file(Path(value), control)
    return value


def _check_file(path: Path, control: Control) -> None:
    """Read it once, headers first: a small file can be a picture of any size."""
    try:
        if path.stat().st_size > MOST_BYTES:
            raise BadFile(f"{path} is larger than {MOST_BYTES // 2**20} MB.", "Choose a smaller file.")
        if control.kind == "image" and path.suffix.lower() == ".npy":
            read_image(path, 1)
            return
        length, height, width = clip_shape(path)
        if height * width > MOST_PIXELS:
            raise BadFile(
                f"{path} is {height} x {width} pixels, but at most {MOST_PIXELS:,} are taken here.",
                "Make it smaller first.",
            )
        if control.kind == "video" and length * height * width > MOST_CLIP_PIXELS:
            raise BadFile(f"{path} has {length} frames of {height} x {width} pixels.", "Cut it, or make it smaller.")
        read_frames(path, 1) if control.kind == "video" else read_image(path, 1)
    except BadFile as error:
        raise BadFile(error.message.replace(str(path), path.name), error.hint) from error


def _without_folders(text: str, given: Mapping[str, Any]) -> str:
    """An uploaded file is called as its owner called it, not as where it lies here."""
    for value in given.values():
        if isinstance(value, str) and Path(value).is_absolute():
            text = text.replace(value, Path(value).name)
    return text


class _Deadline(TorchFunctionMode):
    """Inside, in this thread, tensor operations raise when the time has passed. Python can't end a thread otherwise."""

    def __init__(self, seconds: float) -> None:
        super().__init__()
        self._seconds = seconds
        self._end = time.monotonic() + seconds

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if time.monotonic() > self._end:
            raise ZooError(f"this took longer than {self._seconds:g} seconds, and was ended.", "Ask for less.")
        return func(*args, **(kwargs or {}))
