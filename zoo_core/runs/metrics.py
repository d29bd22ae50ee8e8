"""The lines of ``metrics.jsonl``. ``zoo_core.loggers.jsonl`` writes them."""

from __future__ import annotations

import codecs
import json
import math
from collections.abc import Mapping
from typing import Any

from zoo_core.files import parse_json

_MOST = 2**63  # of an integer


def format_line(values: Mapping[str, int | float]) -> str:
    """A line of JSON, with its end. Values that are not finite, which JSON cannot represent, are null."""
    line = {name: value if math.isfinite(value) else None for name, value in values.items()}
    return json.dumps(line, allow_nan=False) + "\n"


def parse_line(line: bytes) -> dict[str, Any] | None:
    """The values of a line: numbers, None where one was not finite, and ``step``; None if the line is damaged."""
    try:
        found = parse_json(line.removeprefix(codecs.BOM_UTF8))  # of an editor, in the first line
    except ValueError:
        return None
    if not isinstance(found, dict) or type(found.get("step")) is not int or found["step"] < 0:
        return None
    return found if all(map(_is_value, found.values())) else None


def _is_value(value: Any) -> bool:
    if isinstance(value, int):
        return -_MOST <= value < _MOST
    return value is None or isinstance(value, float)
