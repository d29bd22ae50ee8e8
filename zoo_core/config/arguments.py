"""``key=value`` arguments of the command line."""

from __future__ import annotations

import os
import types
from collections.abc import Iterable, Mapping
from typing import Any, Union, get_args, get_origin

from zoo_core.config.types import convert, is_supported
from zoo_core.config.word import Word
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
        if key in texts:
            raise BadSetting(f"{key} is given twice.", "Leave one of them out.")
        texts[key] = text
    return texts


def as_words(texts: Mapping[str, str]) -> dict[str, Word]:
    """The texts as words, which the types of settings interpret."""
    return {key: Word(text) for key, text in texts.items()}


def as_paths(text: str) -> str | list[str]:
    """What is typed for files: a list in brackets, or else one text as it is, such as ``2024`` or ``*.png``."""
    parts = Word(text).parts() if text.startswith("[") and text.endswith("]") else text
    if not isinstance(parts, list):
        return text
    return [one.text if isinstance(one, Word) else str(one) for one in parts]


def interpret(word: Word, hint: Any) -> Any:
    """The value of a word for a parameter with the annotation ``hint``; ``Refused`` if it cannot be one of this type.

    A parameter that may be text or a path takes the text as it was typed, unless it is a list, a number or another
    value that the parameter may be as well.
    """
    if is_supported(hint):
        return convert(word, hint)
    kinds = get_args(hint) if get_origin(hint) in (Union, types.UnionType) else (hint,)
    takes_text = any(kind is str or (isinstance(kind, type) and issubclass(kind, os.PathLike)) for kind in kinds)
    value = word.value
    origins = [get_origin(kind) or kind for kind in kinds]
    is_other = any(isinstance(origin, type) and origin is not str and isinstance(value, origin) for origin in origins)
    return word.text if takes_text and not (is_other and word.is_wholly_yaml) else value
