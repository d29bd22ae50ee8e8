"""What ``zoo predict`` prints and writes: each value of a prediction by its kind."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from zoo_core.data.table_csv import rows_of, shown
from zoo_core.data.value_output import file_stems, save_value
from zoo_core.data.values import Kind, Table, Value, as_json, kind_of
from zoo_core.errors import BadFile, BadSetting, RunFailed, describe_type, printable

_COLUMNS = 10
"""Images beside one another."""
_IMAGE = (".png", ".gif", ".jpg", ".jpeg", ".bmp")
_FORMATS: dict[Kind, tuple[str, ...]] = {
    "images": (*_IMAGE, ".npy"),
    "clips": (*_IMAGE, ".npy"),
    "classes": (*_IMAGE, ".npy"),
    "array": (".npy",),
    "text": (".txt",),
    "table": (".csv",),
    "audio": (".wav",),
}
_NOT_NAMED = {".jpg", ".jpeg", ".bmp"}
"""Endings that a message leaves out."""
_BESIDE: dict[Kind, str] = {"images": ".png", "clips": ".gif", "classes": ".png"}
"""Ending of a file beside one with another ending; otherwise the kind has only one."""
_NOUNS = {**dict.fromkeys(_IMAGE, "an image"), ".npy": "an array", ".txt": "text", ".csv": "a table", ".wav": "audio"}
_NEEDS_FILE: dict[Kind, tuple[str, str]] = {
    "images": ("an image", "digits.png"),
    "clips": ("an image", "digits.png"),
    "classes": ("an image", "digits.png"),
    "audio": ("audio", "speech.wav"),
}


def printed(values: Mapping[str, Any]) -> str:
    """A prediction as text for a terminal: texts and tables by name, and the other values as one line of JSON.

    Raises:
        BadSetting: if it contains an image or audio.
        RunFailed: if there is no form of a value in JSON.
    """
    for value in values.values():
        if (kind := kind_of(value)) in _NEEDS_FILE:
            what, example = _NEEDS_FILE[kind]
            raise BadSetting(f"the model predicts {what}, but no file is given.", f"Add for example -o {example}")
    texts = {name: value for name, value in values.items() if isinstance(value, (str, Table))}
    plain = {name: value for name, value in values.items() if name not in texts}
    parts = [_text(value) for value in texts.values()]
    if len(values) > 1:
        parts = [f"{printable(name)}:\n{part}\n" for name, part in zip(texts, parts, strict=True)]
    return "\n".join([*parts, *([in_json(plain)] if plain or not texts else [])])


def in_json(values: Mapping[str, Any]) -> str:
    """A prediction as JSON.

    Raises:
        RunFailed: if there is no form of a value in JSON.
    """
    try:
        return json.dumps(values, default=as_json)
    except (TypeError, ValueError) as error:  # ValueError: a list that contains itself
        name = next((name for name, value in values.items() if not _has_json(value)), "")
        raise RunFailed(
            f"the model predicts {describe_type(values.get(name))} as '{name}', which can't be printed: {error}.",
            "predict should return strings, numbers, lists, tensors, zoo.Table or zoo.Audio.",
        ) from error


def write_prediction(values: Mapping[str, Any], output: Path) -> list[Path]:
    """Write the first value that fits the ending of ``output`` to it, and the others beside it, with their names.

    Plain values, such as numbers, are written to a ``.json`` file only, which contains everything.

    Raises:
        BadSetting: if no value fits the ending.
        BadFile: if a file can't be written.
        RunFailed: if there is no form of a value in JSON.
    """
    suffix = output.suffix.lower()
    if suffix == ".json":
        return [_write_json(values, output)]
    kinds = {name: kind for name, value in values.items() if (kind := kind_of(value))}
    first = next((name for name, kind in kinds.items() if suffix in _FORMATS[kind]), None)
    if first is None:
        raise _misfit(output, suffix, values, kinds)
    others = [name for name in kinds if name != first]
    stems = file_stems(output.stem, ["", *others])
    save_value(values[first], output, _COLUMNS)
    written = [output]
    for name in others:
        kind = kinds[name]
        beside = output.suffix if suffix in _FORMATS[kind] else _BESIDE.get(kind, _FORMATS[kind][0])
        path = output.with_name(f"{stems[name]}{beside}")
        save_value(values[name], path, _COLUMNS)
        written.append(path)
    return written


def _write_json(values: Mapping[str, Any], output: Path) -> Path:
    text = in_json(values)
    try:
        output.write_text(f"{text}\n", encoding="utf-8")
    except OSError as error:
        raise BadFile(f"{output} could not be written: {error.strerror}.", "Choose another path.") from error
    return output


def _misfit(output: Path, suffix: str, values: Mapping[str, Any], kinds: Mapping[str, Kind]) -> BadSetting:
    endings = [
        *dict.fromkeys(one for kind in kinds.values() for one in _FORMATS[kind] if one not in _NOT_NAMED),
        ".json",
    ]
    listed = " or ".join(filter(None, [", ".join(endings[:-1]), endings[-1]]))
    if suffix in _NOUNS:
        return BadSetting(
            f"{output} should be {_NOUNS[suffix]}, but the model predicts {', '.join(values)}.",
            f"Choose a name that ends in {listed}.",
        )
    return BadSetting(f"{output} should end in {listed}.", f"Write for example -o prediction{endings[0]}")


def _has_json(value: Any) -> bool:
    try:
        json.dumps(value, default=as_json)
    except (TypeError, ValueError):
        return False
    return True


def _text(value: Value) -> str:
    if isinstance(value, Table):
        return _aligned(value)
    # Text of a model may contain the commands of a terminal.
    return "\n".join("\t".join(map(printable, line.split("\t"))) for line in str(value).split("\n"))


def _aligned(table: Table) -> str:
    """The table in columns of a terminal, numbers at the right."""
    from rich.cells import cell_len

    rows = [tuple(table.columns), *rows_of(table.columns)]
    texts = [[printable(shown(cell)) for cell in row] for row in rows]
    widths = [max(map(cell_len, column)) for column in zip(*texts, strict=True)]
    numbers = [_is_numeric(cells) for cells in table.columns.values()]
    lines = []
    for row in texts:
        spaces = [" " * (width - cell_len(cell)) for cell, width in zip(row, widths, strict=True)]
        cells = [
            space + cell if right else cell + space for cell, space, right in zip(row, spaces, numbers, strict=True)
        ]
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines)


def _is_numeric(cells: list[Any]) -> bool:
    return any(isinstance(cell, (int, float)) for cell in cells) and not any(isinstance(cell, str) for cell in cells)
