"""What ``zoo predict`` prints and writes: each value of a prediction by its kind."""

from __future__ import annotations

import json
import warnings
from collections.abc import Mapping
from pathlib import Path
from shlex import quote
from typing import Any, NamedTuple

from zoo_core.data.image_output import not_written
from zoo_core.data.table_csv import as_csv, rows_of, shown
from zoo_core.data.value_output import file_stems, save_value
from zoo_core.data.values import Kind, Table, Value, as_json, clipped, kind_of
from zoo_core.errors import BadFile, BadSetting, RunFailed, describe_type, printable
from zoo_core.files import replacing, write_atomically
from zoo_core.tools.output_names import BESIDE, FORMATS, IMAGES, KINDS, MEANT, NOT_NAMED, NOUNS, refuse_existing
from zoo_core.tools.plain_values import as_columns, is_plain

_COLUMNS = 10
"""Images beside one another."""
_MOST_NAMED = 3
_NEEDS_FILE: dict[Kind, tuple[str, str]] = {
    "images": ("an image", "digits.png"),
    "clips": ("an image", "digits.png"),
    "classes": ("an image", "digits.png"),
    "audio": ("audio", "speech.wav"),
}


class Written(NamedTuple):
    """A file that a prediction was written to."""

    path: Path
    replaced: bool
    """Whether there was one of this name before."""


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
    """A prediction as JSON. Numbers that are not finite, which JSON can't represent, are null, with a warning.

    Raises:
        RunFailed: if there is no form of a value in JSON.
    """
    try:
        text = json.dumps(values, default=as_json)
    except (TypeError, ValueError) as error:  # ValueError: a list that contains itself
        name = next((name for name, value in values.items() if not _has_json(value)), "")
        raise RunFailed(
            f"the model predicts {describe_type(values.get(name))} as '{name}', which can't be printed: {error}.",
            "predict should return strings, numbers, lists, tensors, zoo.Table or zoo.Audio.",
        ) from error
    unrepresented: list[str] = []
    finite = json.loads(text, parse_constant=unrepresented.append)  # append returns None
    if not unrepresented:
        return text
    warnings.warn("the prediction has numbers that are NaN or infinite, which JSON can't represent: null", stacklevel=2)
    return json.dumps(finite)


def write_prediction(values: Mapping[str, Any], output: Path, *, overwrite: bool = False) -> list[Written]:
    """Write the first value that fits the ending of ``output`` to it, and the others beside it, with their names.

    Plain values, such as numbers, are written to a ``.json`` file, which contains everything, or to a ``.csv`` file.

    Raises:
        BadSetting: if no value fits the ending.
        NameTaken: if one of the files exists, and may not be overwritten.
        BadFile: if a file can't be written.
        RunFailed: if there is no form of a value in JSON.
    """
    endings = endings_of(values, output)
    stems = file_stems(output.stem, ["", *list(endings)[1:]])
    paths = {name: output.with_name(f"{stems[name]}{ending}") for name, ending in list(endings.items())[1:]}
    paths = {next(iter(endings)): output, **paths}
    existing = [path for path in paths.values() if path.exists()]
    if not overwrite:
        refuse_existing(existing)
    if unseen := unseen_values(values, endings):
        warnings.warn(f"the model {unseen}.", stacklevel=2)
    for name, path in paths.items():
        write_value(values, name, path)
    return [Written(path, path in existing) for path in paths.values()]


def endings_of(values: Mapping[str, Any], output: Path) -> dict[str, str]:
    """The ending of the file for each value that is written, the first of which is the one that ``output`` means.

    The name of what contains several values, in JSON or as a row of a table, is empty.

    Raises:
        BadSetting: if no value fits the ending of ``output``.
    """
    suffix = output.suffix.lower()
    if suffix == ".json":
        return {"": output.suffix}
    kinds = {name: kind for name, value in values.items() if (kind := kind_of(value))}
    first = next((name for name, kind in kinds.items() if suffix in MEANT[kind]), None)
    if first is None and suffix == ".csv" and any(map(is_plain, values.values())):
        return {"": output.suffix}
    if first is None:
        raise _misfit(output, suffix, values, kinds)
    if suffix not in FORMATS[kinds[first]]:
        raise BadSetting(
            f"{output} should end in .png: class indices are stored losslessly.", "Choose a name that ends in .png."
        )
    found = {first: output.suffix}
    for name, kind in kinds.items():
        found.setdefault(name, output.suffix if suffix in FORMATS[kind] else BESIDE.get(kind, FORMATS[kind][0]))
    return found


def unseen_values(values: Mapping[str, Any], endings: Mapping[str, str]) -> str:
    """What the images in the files do not show, or an empty text."""
    return clipped({name: values[name] for name, ending in endings.items() if ending.lower() in IMAGES})


def write_value(values: Mapping[str, Any], name: str, path: Path) -> None:
    """Write the value ``name``, or all values if it is empty, to a file that is complete or does not exist.

    Raises:
        BadFile: if the file can't be written.
        RunFailed: if there is no form of a value in JSON.
    """
    try:
        if name:
            with replacing(path, ending=path.suffix) as temporary:
                _save(values[name], temporary, path)
        elif path.suffix.lower() == ".csv":
            write_atomically(path, as_csv(as_columns([json.loads(in_json(_plain(values)))])))
        else:
            write_atomically(path, f"{in_json(values)}\n")
    except OSError as error:
        if isinstance(error, BadFile):
            raise
        raise not_written(path, error) from error


def _save(value: Value, temporary: Path, path: Path) -> None:
    try:
        save_value(value, temporary, _COLUMNS)
    except BadFile as error:  # it names the temporary file
        raise BadFile(error.message.replace(str(temporary), str(path)), error.hint) from error


def _plain(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if is_plain(value)}


def _misfit(output: Path, suffix: str, values: Mapping[str, Any], kinds: Mapping[str, Kind]) -> BadSetting:
    endings = [
        *dict.fromkeys(one for kind in kinds.values() for one in FORMATS[kind] if one not in NOT_NAMED),
        *[".csv"] * (not kinds and any(map(is_plain, values.values()))),
        ".json",
    ]
    listed = " or ".join(filter(None, [", ".join(endings[:-1]), endings[-1]]))
    if suffix in NOUNS:
        return BadSetting(
            f"{output} should be {NOUNS[suffix]}, but the model predicts {_named(values, kinds)}.",
            f"Choose a name that ends in {listed}.",
        )
    example = output.with_name(f"{output.stem or 'prediction'}{endings[0]}")
    return BadSetting(f"{output} should end in {listed}.", f"Write for example -o {quote(str(example))}")


def _named(values: Mapping[str, Any], kinds: Mapping[str, Kind]) -> str:
    """What a prediction is, such as ``text as 'sample' and a list as 'label'``."""
    parts = [
        f"{KINDS[kinds[name]] if name in kinds else describe_type(values[name])} as '{name}'"
        for name in list(values)[:_MOST_NAMED]
    ]
    more = [f"{len(values) - _MOST_NAMED} more"] if len(values) > _MOST_NAMED else []
    *others, last = [*parts, *more] or ["nothing"]
    return f"{', '.join(others)} and {last}" if others else last


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
    lines = str(value).replace("\r\n", "\n").split("\n")
    return "\n".join("\t".join(map(printable, line.split("\t"))) for line in lines)


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
