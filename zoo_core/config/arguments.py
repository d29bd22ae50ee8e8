"""``key=value`` arguments of the command line."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from zoo_core.config.recipe_files import parse_value
from zoo_core.errors import BadSetting


def parse_arguments(arguments: Iterable[str]) -> dict[str, Any]:
    """``["labels=[5, 5]", "seed=1"]`` as ``{"labels": [5, 5], "seed": 1}``.

    Raises:
        BadSetting: if an argument has another form.
    """
    values: dict[str, Any] = {}
    for argument in arguments:
        key, equals, text = argument.partition("=")
        if not equals or not key.isidentifier():
            raise BadSetting(f"'{argument}' should be key=value.", "Write for example labels=[5,5,5,5].")
        values[key] = parse_value(argument, text)
    return values
