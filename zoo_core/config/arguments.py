"""``key=value`` arguments of the command line."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any

from zoo_core.config.recipe_files import parse_value
from zoo_core.errors import BadSetting


def split_arguments(arguments: Iterable[str]) -> dict[str, str]:
    """``["labels=[5, 5]", "seed=1"]`` as ``{"labels": "[5, 5]", "seed": "1"}``.

    Raises:
        BadSetting: if an argument has another form.
    """
    texts: dict[str, str] = {}
    for argument in arguments:
        key, equals, text = argument.partition("=")
        if not equals or not key.isidentifier():
            raise BadSetting(f"'{argument}' should be key=value.", "Write for example labels=[5,5,5,5].")
        texts[key] = text
    return texts


def parse_arguments(texts: dict[str, str], paths: Collection[str] = ()) -> dict[str, Any]:
    """``{"labels": "[5, 5]", "seed": "1"}`` as ``{"labels": [5, 5], "seed": 1}``.

    Of ``paths``, only a list is more than a text: a file may be called ``2024`` or ``*.png``.

    Raises:
        BadSetting: if a text is not a value.
    """
    return {
        key: text if key in paths and not _is_list(text) else parse_value(f"{key}={text}", text)
        for key, text in texts.items()
    }


def _is_list(text: str) -> bool:
    return text.startswith("[") and text.endswith("]")
