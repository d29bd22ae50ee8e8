"""Check the values that the page sent, and call ``predict`` with them within limits of size and time."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch.overrides import TorchFunctionMode

from zoo_core.config.control import Control
from zoo_core.data.arrays import SUFFIXES as ARRAY_SUFFIXES
from zoo_core.data.clip_io import clip_shape, read_frames
from zoo_core.data.image_decoding import stored_shape
from zoo_core.data.image_io import read_image
from zoo_core.data.values import as_prediction
from zoo_core.errors import BadFile, ZooError, raised
from zoo_core.model import Model
from zoo_core.tools.demo.controls import Form
from zoo_core.training.error_attribution import is_from_outside

MAX_BYTES = 10 * 2**20
"""Size of one upload."""
MAX_PIXELS = 2**20
"""Pixels of one image or frame."""
MAX_VIDEO_PIXELS = 2**23
"""Pixels of all frames of a video together."""
MAX_SECONDS = 60.0
"""Time limit of one prediction."""


def arguments(form: Form, values: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments for ``predict``: ``values``, checked, without those left empty.

    Raises:
        ZooError: if a required one is missing, or one is not valid for its control.
    """
    checked = {name: _check_value(name, control, values.get(name)) for name, control in form.controls.items()}
    missing = [name for name in form.controls if name in form.required and checked[name] is None]
    if missing:
        control = form.controls[missing[0]]
        verb = "Upload" if control.kind in ("image", "video") else "Set"
        raise ZooError(f"{missing[0]} is missing.", f"{verb} it first.")
    return {name: value for name, value in checked.items() if value is not None}


def predict(model: Model, inputs: Mapping[str, Any], seconds: float = MAX_SECONDS) -> dict[str, Any]:
    """``model.predict(**inputs)``, aborted at the first tensor operation after ``seconds``.

    Raises:
        ZooError: if the time limit is exceeded, or ``predict``, which is code of a plugin, raises any exception.
    """
    try:
        with _Deadline(seconds):
            return as_prediction(model.predict(**inputs), f"predict of the model {type(model).__name__}")
    except ZooError as error:
        raise ZooError(_without_folders(error.message, inputs), error.hint) from error
    except BaseException as error:  # also SystemExit, which would end the server
        if is_from_outside(error):
            raise
        reason = _without_folders(raised(error), inputs)
        raise ZooError(f"{type(model).__name__}.predict failed: {reason}") from error


def _check_value(name: str, control: Control, value: Any) -> Any:
    value = control.read(name, value)
    if value is not None and control.kind in ("image", "video"):
        _check_file(Path(value), control)
    return value


def _check_file(path: Path, control: Control) -> None:
    """Check the size in the header before the pixels are decoded: a small file can contain an image of any size."""
    try:
        if path.stat().st_size > MAX_BYTES:
            raise BadFile(f"{path} is larger than {MAX_BYTES // 2**20} MB.", "Choose a smaller file.")
        if control.kind == "image" and path.suffix.lower() == ".npy":
            read_image(path, 1)
            return
        is_array = path.suffix.lower() in ARRAY_SUFFIXES
        length, height, width = clip_shape(path) if is_array else stored_shape(path)
        if height * width > MAX_PIXELS:
            raise BadFile(
                f"{path} has {height} x {width} pixels, but at most {MAX_PIXELS:,} are allowed here.",
                "Resize it first.",
            )
        if control.kind == "video" and length * height * width > MAX_VIDEO_PIXELS:
            raise BadFile(
                f"{path} has {length} frames of {height} x {width} pixels, but at most {MAX_VIDEO_PIXELS:,} pixels in "
                "all are allowed here.",
                "Shorten or resize it first.",
            )
        read_frames(path, 1) if control.kind == "video" else read_image(path, 1)
    except BadFile as error:
        raise BadFile(error.message.replace(str(path), path.name), error.hint) from error


def _without_folders(text: str, inputs: Mapping[str, Any]) -> str:
    """``text`` with the paths of uploaded files reduced to their names."""
    for value in inputs.values():
        if isinstance(value, str) and Path(value).is_absolute():
            text = text.replace(value, Path(value).name)
    return text


class _Deadline(TorchFunctionMode):
    """Makes tensor operations of this thread raise after the time limit; Python has no other way to stop a thread."""

    def __init__(self, seconds: float) -> None:
        super().__init__()
        self._seconds = seconds
        self._end = time.monotonic() + seconds

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if time.monotonic() > self._end:
            raise ZooError(f"the prediction took longer than {self._seconds:g} seconds.", "Use smaller inputs.")
        return func(*args, **(kwargs or {}))
