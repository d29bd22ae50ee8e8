"""The types of settings: conversion of a recipe's values to them, and their names in messages."""

from __future__ import annotations

import dataclasses
import types
from collections.abc import Mapping
from typing import Any, Literal, Union, get_args, get_origin

from zoo_core.config.word import Word

_SCALARS = (bool, int, float, str, type(None))


_WORDS = {True: ("on", "yes"), False: ("off", "no")}
"""The choice that is meant by a boolean."""


class Refused:
    """Returned for a value that does not fit its type."""


def convert(value: Any, hint: Any, exact: bool = False) -> Any:
    """``value`` as the type ``hint``, or :class:`Refused`. With ``exact``, text is not converted to a number."""
    if isinstance(value, Word):
        return _of_word(value, hint, exact)
    origin, inner = get_origin(hint) or hint, get_args(hint)
    if origin is Literal:
        if any(type(value) is type(one) and value == one for one in inner):
            return value
        words = _WORDS[value] if type(value) is bool else ()
        return next((word for word in words if word in inner), Refused())
    if origin in (Union, types.UnionType):
        if type(value) in inner:
            return value
        exact = exact or len(inner) - (type(None) in inner) > 1  # "5" could otherwise be any of several
        fitting = (one for one in (convert(value, member, exact) for member in inner) if not isinstance(one, Refused))
        return next(fitting, Refused())
    if isinstance(value, (list, tuple)):
        return _sequence(value, origin if hint is not Any else type(value), inner or (Any, ...), exact)
    if isinstance(value, Mapping):
        return _mapping(value, origin if hint is not Any else dict, inner or (Any, Any), exact)
    if type(value) is hint or (hint is Any and type(value) in _SCALARS):
        return value
    if hint is float and type(value) is int and abs(value) < 2**53:
        return float(value)  # OmegaConf would do the same, but importing it slows down light commands
    return _scalar(value, hint) if hint in (bool, int, float) and not exact else Refused()


def type_name(hint: Any) -> str:
    """A type as messages name it: ``float``, ``one of gan, lsgan``, ``int or null``, ``list of 2 float``."""
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is Literal:
        return ("one of " if arguments[1:] else "") + ", ".join(map(str, arguments))
    if origin in (Union, types.UnionType):
        return " or ".join("null" if argument is type(None) else type_name(argument) for argument in arguments)
    if origin is tuple and arguments[1:] != (...,):
        kinds = list(dict.fromkeys(map(type_name, arguments)))
        return f"list of {len(arguments)} {kinds[0]}" if len(kinds) == 1 else f"list of {', '.join(kinds)}"
    if origin in (list, tuple) and arguments:
        return f"list of {type_name(arguments[0])}"
    if origin is dict and arguments:
        return f"mapping from {type_name(arguments[0])} to {type_name(arguments[1])}"
    return getattr(hint, "__name__", str(hint))


def article(expected: str) -> str:
    if expected.startswith("one of"):
        return expected
    return f"an {expected}" if expected[0] in "aeiou" else f"a {expected}"


def is_supported(hint: Any) -> bool:
    origin, inner = get_origin(hint), get_args(hint)
    if origin is Literal:
        return all(type(one) in _SCALARS for one in inner)
    if origin in (Union, types.UnionType, list, tuple, dict):
        return all(one is ... or is_supported(one) for one in inner)
    return hint is Any or hint in (*_SCALARS, list, tuple, dict)


def holds_text(hint: Any) -> bool:
    return hint is str or any(map(holds_text, get_args(hint)))


def _of_word(word: Word, hint: Any, exact: bool) -> Any:
    """A word of the command line: text as it was typed where the setting is text, and YAML elsewhere."""
    kinds = get_args(hint) if get_origin(hint) in (Union, types.UnionType) else (hint,)
    choices = [one for kind in kinds if get_origin(kind) is Literal for one in get_args(kind)]
    if any(type(one) is str and one == word.text for one in choices):
        return word.text
    others = [kind for kind in kinds if kind is not str]
    if str in kinds and not (others and word.is_wholly_yaml):
        return word.text
    value = word.parts() if any(get_origin(kind) or kind in (list, tuple, dict) for kind in kinds) else word.value
    if str in kinds:  # what can be something else, such as a number or null, is that
        value = convert(value, Union[tuple(others)], exact=True)  # noqa: UP007
        return word.text if isinstance(value, Refused) else value
    return convert(value, hint, exact)


def _sequence(value: list[Any] | tuple[Any, ...], kind: Any, inner: tuple[Any, ...], exact: bool) -> Any:
    if kind not in (list, tuple):
        return Refused()
    kinds = inner[:1] * len(value) if kind is list or inner[1:] == (...,) else inner
    items = [convert(one, of, exact) for one, of in zip(value, kinds, strict=False)]
    return Refused() if len(value) != len(kinds) or _any_refused(items) else kind(items)


def _mapping(value: Mapping[Any, Any], kind: Any, inner: tuple[Any, ...], exact: bool) -> Any:
    if kind is not dict or None in value:
        return Refused()
    keys = [convert(key, inner[0], exact) for key in value]
    items = [convert(one, inner[1], exact) for one in value.values()]
    return Refused() if _any_refused(keys + items) else dict(zip(keys, items, strict=True))


def _any_refused(converted: list[Any]) -> bool:
    return any(isinstance(one, Refused) for one in converted)


def _scalar(value: Any, hint: Any) -> Any:
    """``value`` converted as OmegaConf does it: ``"1e-3"`` is a number, ``"yes"`` is true."""
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException

    one_field = dataclasses.make_dataclass("Settings", [("value", hint)])
    try:
        return OmegaConf.merge(OmegaConf.structured(one_field), {"value": value}).value
    except (OmegaConfBaseException, OverflowError):
        return Refused()
