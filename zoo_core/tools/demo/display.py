"""Render the inputs and outputs of ``predict`` as self-contained HTML. Text of a model is escaped."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterator, Mapping
from html import escape
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from torch import Tensor

from zoo_core.data.clip_io import read_frames
from zoo_core.data.image_io import read_image
from zoo_core.data.table_csv import rows_of, shown
from zoo_core.data.value_output import encoded, save_value
from zoo_core.data.values import Audio, Table, clipped, kind_of
from zoo_core.tools.demo.controls import Form

_MAX_VALUES = 200
_MAX_CHARACTERS = 2000
_MAX_TEXT = 20_000
"""Characters of a text that is an output by itself."""


def render(form: Form, inputs: Mapping[str, Any], outputs: Mapping[str, Any]) -> str:
    """The images, videos and sounds of ``inputs`` and ``outputs`` as figures, the other outputs as a table below."""
    kinds = {name: control.kind for name, control in form.controls.items() if control.kind in ("image", "video")}
    loaded = {name: _read(value, kinds.get(name, "")) for name, value in inputs.items()}
    shown_inputs = {f"input: {name}": value for name, value in loaded.items() if isinstance(value, Tensor)}
    figures = [figure for name, value in shown_inputs.items() for figure in _figures(name, value)]
    figures += [figure for name, value in outputs.items() for figure in _figures(name, value)]
    rows = [_row(name, value) for name, value in outputs.items() if _has_row(value)]
    table = f'<table class="zoo-values">{"".join(rows)}</table>' if rows else ""
    return f'<div class="zoo-figures">{"".join(figures)}</div>{table}'


def _read(value: Any, kind: str) -> Any:
    if not kind or not isinstance(value, (str, Path)):
        return value
    return read_frames(value, 3).unsqueeze(0) if kind == "video" else read_image(value, 3).unsqueeze(0)


def _figures(name: str, value: Any) -> Iterator[str]:
    if isinstance(value, Audio):
        yield _audio(name, value)
        return
    kind = kind_of(value)
    if unseen := clipped({"": value}):
        name = f"{name}, {unseen.partition(' with ')[2]}"
    if kind == "clips":
        yield _image(f"{name}, {value.shape[1]} frames", value, ".gif")
        yield _image(f"{name}, frame by frame", value, ".png", wide=True)
    elif kind == "array":
        yield _image(f"{name}: {_summary(value)}", value, ".png")
    elif kind in ("images", "classes"):
        yield _image(name, value, ".png")


def _image(name: str, value: Tensor, suffix: str, *, wide: bool = False) -> str:
    with TemporaryDirectory() as folder:
        path = Path(folder, f"image{suffix}")
        save_value(value, path, columns=_columns(value))
        return _figure(name, path, wide)


def _audio(name: str, audio: Audio) -> str:
    data = b64encode(encoded(audio)).decode()
    return (
        f'<figure><audio controls aria-label="{escape(name)}" src="data:audio/wav;base64,{data}"></audio>'
        f"<figcaption>{escape(name)}</figcaption></figure>"
    )


def _summary(array: Tensor) -> str:
    """Shape, type and range, such as ``(16, 8) float32 from -1.2 to 3``."""
    described = f"{tuple(array.shape)} {str(array.dtype).removeprefix('torch.')}"
    if array.is_complex() or not (values := array.double()).isfinite().all():
        return described
    return f"{described} from {values.min().item():.4g} to {values.max().item():.4g}"


def _columns(value: Tensor) -> int:
    return min(10, len(value)) if value.ndim == 4 else 10


def _figure(name: str, path: Path, wide: bool = False) -> str:
    data = b64encode(path.read_bytes()).decode()
    kind = path.suffix.removeprefix(".")
    return (
        f'<figure{" class=zoo-wide" if wide else ""}><img alt="{escape(name)}" src="data:image/{kind};base64,{data}">'
        f"<figcaption>{escape(name)}</figcaption></figure>"
    )


def _has_row(value: Any) -> bool:
    """Whether it is no figure, or an array of so few numbers that they are shown as well."""
    kind = kind_of(value)
    return kind in (None, "text", "table") or (kind == "array" and value.numel() <= _MAX_VALUES)


def _row(name: str, value: Any) -> str:
    return f"<tr><th>{escape(name)}</th><td>{_cell(value)}</td></tr>"


def _cell(value: Any) -> str:
    if isinstance(value, str):
        more = "\n…" if len(value) > _MAX_TEXT else ""
        return f"<pre>\n{escape(value[:_MAX_TEXT])}{more}</pre>"  # a first line break is no part of the text
    return _table(value) if isinstance(value, Table) else _format(value)


def _table(table: Table) -> str:
    rows = rows_of(table.columns)
    head = "".join(f"<th>{escape(name)}</th>" for name in table.columns)
    body = "".join(
        f"<tr>{''.join(f'<td>{escape(shown(cell))}</td>' for cell in row)}</tr>" for row in rows[:_MAX_VALUES]
    )
    more = f"<p>{len(rows) - _MAX_VALUES:,} more rows</p>" if len(rows) > _MAX_VALUES else ""
    return f'<table class="zoo-table"><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>{more}'


def _format(value: Any) -> str:
    value = value.tolist() if hasattr(value, "tolist") else value
    if isinstance(value, Mapping):
        return "<br>".join(f"{escape(str(key))}: {_format(one)}" for key, one in islice(value.items(), _MAX_VALUES))
    if isinstance(value, (list, tuple)):
        more = ", …" if len(value) > _MAX_VALUES else ""
        return ", ".join(map(_format, value[:_MAX_VALUES])) + more
    return escape(f"{value:.4g}" if isinstance(value, float) else str(value)[:_MAX_CHARACTERS])
