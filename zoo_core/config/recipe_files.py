"""Registry files and recipes in YAML: reading, validation, and the line number of every key for messages."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import yaml

from zoo_core.config.yaml_reader import read_text
from zoo_core.errors import BadFile, BadSetting, did_you_mean, in_yaml

SECTIONS = ("recipes", "weights", "plugins")
PARTS = ("model", "dataset", "trainer")
KEYS = ("summary", "extends", "run", *PARTS, "sweep")
_HINTS = {key: f"Write `{key}: {{name: …}}`." for key in ("run", *PARTS)} | {
    "sweep": "Write `sweep: {metric: …, space: {KEY: VALUES}}`."
}
_LOOK = "`zoo new my-model` writes one to look at."
_MAX_BYTES = 2**20  # `zoo list` reads all registries: such a file takes it about a second
_MAX_ENTRIES = 10_000
_DEEPEST = 20  # keys within keys whose lines are known; aliases may contain themselves
Key = tuple[str, ...]
NAME = re.compile(r"(\w[\w.+-]*/)?\w[\w.+-]*")
WEIGHTS_NAME = re.compile(rf"{NAME.pattern}(@\w[\w.+-]*)?")


@dataclass(frozen=True)
class Source:
    """Where a value was set: a key of a YAML file, or the command line if ``file`` is None."""

    file: Path | None
    key: Key = ()
    typed: Any = None
    """The value as it was typed on the command line: a `Word`, or a list of them."""

    def __str__(self) -> str:
        if self.file is None:
            return "command line"
        line = _line_of(self.file, self.key)
        return _shorten(self.file) + (f":{line}" if line else "")


def read_yaml(path: Path) -> dict[str, Any]:
    """The mapping in a YAML file, with string keys, as plain Python values.

    Raises:
        BadFile: if it is missing, unreadable, not YAML, or not a mapping.
    """
    try:
        document = read_text(read_limited(path))
    except yaml.YAMLError as error:
        mark, problem = getattr(error, "problem_mark", None), getattr(error, "problem", None) or error
        line = f":{mark.line + 1}" if mark else ""
        hint = "Remove one of the two." if "duplicate key" in str(problem) else "Correct the file, or remove it."
        raise BadFile(f"{_shorten(path)}{line}: this is not YAML: {problem}.", hint) from error
    if document is None:
        return {}
    if not isinstance(document, dict):
        found = "a list" if isinstance(document, list) else "a single value"
        raise BadFile(f"{_shorten(path)} contains {found}, but should contain a mapping: lines of `key: value`.", _LOOK)
    return {str(key): value for key, value in document.items()}


def read_limited(path: Path) -> str:
    """The text of a YAML file.

    Raises:
        BadFile: if it is missing, unreadable, not text, or too large to be read in an instant.
    """
    try:
        with path.open("rb") as file:
            content = file.read(_MAX_BYTES + 1)
            size = max(os.fstat(file.fileno()).st_size, len(content))
        text = content.decode("utf-8") if len(content) <= _MAX_BYTES else ""
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or error
        hint = "Save it in UTF-8." if isinstance(error, UnicodeDecodeError) else "Check the name and its permissions."
        raise BadFile(f"{_shorten(path)} could not be read: {reason}.", hint) from error
    if len(content) > _MAX_BYTES:
        raise BadFile(
            f"{_shorten(path)} is too large: it has {size:,} bytes, but at most {_MAX_BYTES:,} are read.",
            "Divide it into several files, each given with --registry.",
        )
    return text


def read_registry(path: Path) -> dict[str, Any]:
    """A file with the sections ``recipes`` and ``weights``, each a mapping from names to mappings, and ``plugins``, a
    list of files.

    Raises:
        BadFile: if it does not contain a mapping; see :func:`read_yaml`.
        BadSetting: if it has another section, or weights that are not a mapping or have an invalid name. Such a recipe
            is :class:`Malformed`.
    """
    return check_registry(read_yaml(path), path)


def check_registry(document: dict[str, Any], path: Path) -> dict[str, Any]:
    """``document``, checked as the content of the registry file ``path``. See :func:`read_registry`."""
    for key, section in document.items():
        place = Source(path, (key,))
        if key not in SECTIONS:
            raise BadSetting(
                f"{place}: a registry has no section '{key}'.",
                did_you_mean(key, SECTIONS, f"It has {', '.join(SECTIONS)}."),
            )
        if key == "plugins":
            if not isinstance(section, list) or not all(isinstance(one, str) for one in section):
                raise BadSetting(
                    f"{place}: plugins is {in_yaml(section)}, but should be a list of files.", "Write `- my_model.py`."
                )
            continue
        if section is not None and not isinstance(section, Mapping):
            raise BadSetting(
                f"{place}: {key} is {in_yaml(section)}, but should be a mapping from names to entries.", _LOOK
            )
        if section and len(section) > _MAX_ENTRIES:
            raise BadSetting(
                f"{place}: {key} has {len(section):,} entries, but at most {_MAX_ENTRIES:,} are read.",
                "Divide the file into several, each given with --registry.",
            )
        document = {**document, key: dict(_entries(section or {}, key, path))}
    return document


@dataclass(frozen=True)
class Malformed:
    """A recipe that is no mapping, or whose name nothing can have: it is refused itself, and hides no other one."""

    message: str
    hint: str | None


def _entries(section: Mapping[Any, Any], key: str, path: Path) -> Iterator[tuple[str, Any]]:
    for name, entry in section.items():
        try:
            check_name(name, Source(path, (key, str(name))), WEIGHTS_NAME if key == "weights" else NAME)
            if not isinstance(entry, Mapping):
                place = Source(path, (key, name))
                raise BadSetting(
                    f"{place}: {key}.{name} is {in_yaml(entry)}, but should be a mapping.", f"Write `{name}: {{…: …}}`."
                )
            yield name, entry
        except BadSetting as error:
            if key != "recipes":
                raise
            yield str(name), Malformed(error.message, error.hint)


def checked(
    own: Mapping[str, Any] | Malformed, name: str, path: Path, known: tuple[str, ...] = KEYS
) -> Mapping[str, Any]:
    """``own``, checked as the recipe ``name`` of the file ``path``.

    Raises:
        BadSetting: if it has a part that is not in ``known``, or a malformed one.
    """
    if isinstance(own, Malformed):
        raise BadSetting(own.message, own.hint)
    base: Key = ("recipes", name) if known is KEYS else ()
    for key, value in own.items():
        place = Source(path, (*base, str(key)))
        if key not in known:
            raise BadSetting(
                f"{place}: recipe '{name}' has no part '{key}'.",
                did_you_mean(str(key), known, f"The parts are {', '.join(known)}."),
            )
        if key in _HINTS and not isinstance(value, Mapping):
            raise BadSetting(f"{place}: {key} is {in_yaml(value)}, but should be a mapping.", _HINTS[key])
        if key == "summary":
            check_summary(value, place)
        if key == "extends" and not isinstance(value, str):
            raise BadSetting(
                f"{place}: extends is {in_yaml(value)}, but should be the name of one recipe.",
                "To extend two recipes, extend one that extends the other.",
            )
    return own


def check_name(name: Any, place: Source, form: re.Pattern[str] = NAME) -> None:
    """Raise BadSetting unless ``name`` can be the name of a folder and of a file, and a command-line argument."""
    if not (isinstance(name, str) and form.fullmatch(name)):
        raise BadSetting(
            f"{place}: {in_yaml(name)} is not a valid name, which consists of letters, digits, '-', '_' and '.'.",
            "Put a number in quotes." if not isinstance(name, str) else "Give it another name.",
        )


def check_summary(summary: Any, place: Source) -> None:
    """Raise BadSetting unless ``summary`` is text."""
    if not isinstance(summary, str):
        raise BadSetting(
            f"{place}: summary is {in_yaml(summary)}, but should be text.",
            None if isinstance(summary, (Mapping, list)) else "Put it in quotes.",
        )


def _line_of(path: Path, key: Key) -> int | None:
    """The line of ``key`` in a YAML file; None if it is not found. Only messages and ``zoo info`` need it."""
    try:
        lines = _lines(path, path.stat().st_mtime_ns)
    except (OSError, BadFile, ValueError, RecursionError, yaml.YAMLError):  # for example, a weights file
        return None
    while key and key not in lines:
        key = key[:-1]
    return lines.get(key)


@lru_cache(maxsize=16)
def _lines(path: Path, modified: int) -> dict[Key, int]:
    """The line of every key in the YAML file ``path`` with this modification time, cached: many keys are looked up."""
    root = yaml.compose(read_limited(path), Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    lines: dict[Key, int] = {}
    waiting: list[tuple[Key, Any]] = [((), root)]
    while waiting:
        key, node = waiting.pop()
        if not isinstance(node, yaml.MappingNode) or len(key) > _DEEPEST:
            continue
        for name, value in node.value:
            below = (*key, str(name.value))
            if below not in lines:
                lines[below] = name.start_mark.line + 1
                waiting.append((below, value))
    return lines


def _shorten(path: Path) -> str:
    relative = os.path.relpath(path)
    return str(path) if relative.startswith("..") else relative
