"""Render the inputs and outputs of ``predict`` as self-contained HTML."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterator, Mapping
from html import escape
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from torch import Tensor

from zoo_core.data import image_output
from zoo_core.data.image_io import read_frames, read_image
from zoo_core.tools.demo.controls import Form

_MAX_VALUES = 200
_MAX_CHARACTERS = 2000


def render(form: Form, inputs: Mapping[str, Any], outputs: Mapping[str, Any]) -> str:
    """The images and videos of ``inputs`` and ``outputs`` as figures, and the other outputs as a table below."""
    kinds = {name: control.kind for name, control in form.controls.items() if control.kind in ("image", "video")}
    loaded = {name: _read(value, kinds.get(name, "")) for name, value in inputs.items()}
    figures = [figure for name, value in loaded.items() for figure in _figures(f"input: {name}", value)]
    figures += [figure for name, value in outputs.items() for figure in _figures(name, value)]
    rows = [_row(name, value) for name, value in outputs.items() if not image_output.can_be_drawn(value)]
    table = f'<table class="zoo-values">{"".join(rows)}</table>' if rows else ""
    return f'<div class="zoo-figures">{"".join(figures)}</div>{table}'


def _read(value: Any, kind: str) -> Any:
    if not kind or not isinstance(value, (str, Path)):
        return value
    return read_frames(value, 3).unsqueeze(0) if kind == "video" else read_image(value, 3).unsqueeze(0)


def _figures(name: str, value: Any) -> Iterator[str]:
    if not image_output.can_be_drawn(value):
        return
    with TemporaryDirectory() as folder:
        if value.ndim == 2:
            image_output.save_classes(value, Path(folder, "classes.png"))
            yield _figure(name, Path(folder, "classes.png"))
            return
        if value.ndim == 5:
            image_output.save_clips(value, Path(folder, "clip.gif"))
            yield _figure(f"{name}, {value.shape[1]} frames", Path(folder, "clip.gif"))
        image_output.save(value, Path(folder, "image.png"), columns=_columns(value))
        wide = value.ndim == 5
        yield _figure(f"{name}, frame by frame" if wide else name, Path(folder, "image.png"), wide)


def _columns(value: Tensor) -> int:
    return min(10, len(value)) if value.ndim == 4 else 10


def _figure(name: str, path: Path, wide: bool = False) -> str:
    data = b64encode(path.read_bytes()).decode()
    kind = path.suffix.removeprefix(".")
    return (
        f'<figure{" class=zoo-wide" if wide else ""}><img alt="{escape(name)}" src="data:image/{kind};base64,{data}">'
        f"<figcaption>{escape(name)}</figcaption></figure>"
    )


def _row(name: str, value: Any) -> str:
    return f"<tr><th>{escape(name)}</th><td>{_format(value)}</td></tr>"


def _format(value: Any) -> str:
    value = value.tolist() if hasattr(value, "tolist") else value
    if isinstance(value, Mapping):
        return "<br>".join(f"{escape(str(key))}: {_format(one)}" for key, one in islice(value.items(), _MAX_VALUES))
    if isinstance(value, (list, tuple)):
        more = ", …" if len(value) > _MAX_VALUES else ""
        return ", ".join(map(_format, value[:_MAX_VALUES])) + more
    return escape(f"{value:.4g}" if isinstance(value, float) else str(value)[:_MAX_CHARACTERS])
