"""The options of a registered optimizer or schedule: the parameters of its function or class."""

from __future__ import annotations

import inspect
import re
import types
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, reduce
from operator import or_
from typing import Any, Union, get_args, get_origin

from zoo_core.config.suggestion import suggestion
from zoo_core.config.types import Refused, article, convert, is_supported, type_name
from zoo_core.errors import BadSetting, in_yaml, nearest
from zoo_core.registry.entry import Entry

# They have settings of their own, or follow from the device.
_OWN = {
    "optimizer": ("params", "lr", "weight_decay", "module", "capturable", "differentiable"),
    "schedule": ("optimizer", "total_steps", "warmup_steps"),
}
_SETTINGS = {"lr": "learning_rate", "weight_decay": "weight_decay", "warmup_steps": "warmup"}
_PARAMETER = re.compile(r"^(?P<indent> +)(?P<name>\w+)(?: \([^\n]*?\))? ?:(?: (?P<text>\S.*)|[^\n]*)$")
_NUMPY_PARAMETER = re.compile(r"^(?P<indent> *)(?P<name>\w+) : .*$")


@dataclass(frozen=True)
class Option:
    """One option, with a type that a recipe can express."""

    name: str
    hint: Any
    default: Any
    help: str
    required: bool

    def describe(self) -> dict[str, Any]:
        """As ``zoo info`` shows it."""
        return {
            "name": self.name,
            "type": type_name(self.hint),
            "default": self.default,
            "help": self.help,
            "required": self.required,
        }


@cache
def parameters_of(entry: Entry) -> Mapping[str, inspect.Parameter]:
    """The parameters of what ``entry`` registers, which is imported.

    Raises:
        BrokenPlugin: if it cannot be imported.
    """
    target = entry.load()
    try:
        return inspect.signature(target, eval_str=True).parameters
    except NameError:  # an annotation is imported for type checkers only
        return inspect.signature(target).parameters


@cache
def options_of(entry: Entry) -> Mapping[str, Option]:
    """The options of an optimizer or schedule by name; those whose values a recipe cannot express are left out.

    Raises:
        BrokenPlugin: if it cannot be imported.
    """
    helps = _helps(inspect.getdoc(entry.load()) or "")
    options = {}
    for name, parameter in parameters_of(entry).items():
        hint = _expressible(parameter)
        named = parameter.kind not in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD, parameter.POSITIONAL_ONLY)
        if hint is not None and named and name not in _OWN[entry.kind]:
            required = parameter.default is parameter.empty
            default = None if required else parameter.default
            options[name] = Option(name, hint, default, helps.get(name, ""), required)
    return options


def read_options(entry: Entry, values: Mapping[str, Any], key: str, extra: tuple[str, ...] = ()) -> dict[str, Any]:
    """``values`` checked against the options of ``entry`` and converted to their types.

    Args:
        entry: an optimizer or schedule.
        values: what the setting ``key`` gives.
        key: the full name of the setting.
        extra: further names that are known where ``values`` come from.

    Raises:
        BadSetting: for an unknown option, or a value of the wrong type.
    """
    options = options_of(entry)
    for name in values:
        if name not in options:
            raise _unknown(entry, str(name), key, [*extra, *options])
    return {name: _read(entry, options[name], value, f"{key}.{name}") for name, value in values.items()}


def _unknown(entry: Entry, name: str, key: str, known: list[str]) -> BadSetting:
    message = f"{key}.{name}: the {entry.kind} '{entry.name}' has no such option."
    if name in _OWN[entry.kind] and name in _SETTINGS:
        message = f"{key}.{name}: this is a setting of its own."
        return BadSetting(message, f"Write `trainer.{_SETTINGS[name]}=…`.")
    near = nearest(name, known)
    listed = f"Its options: {', '.join(known)}." if known else "It has no options."
    return BadSetting(message, f"Did you mean '{near}'? {listed}" if near else listed)


def _read(entry: Entry, option: Option, value: Any, key: str) -> Any:
    converted = convert(value, option.hint)
    if not isinstance(converted, Refused):
        return converted
    default = "" if option.required else f"Leave it out for its default, {in_yaml(option.default)}."
    raise BadSetting(
        f"{key} is {in_yaml(value)}, but the {entry.kind} '{entry.name}' needs {article(type_name(option.hint))}.",
        suggestion(key, value, option.hint) or default or None,
    )


def _expressible(parameter: inspect.Parameter) -> Any:
    """The type of a parameter as far as a recipe can express it, or None."""
    if parameter.annotation is not parameter.empty and not isinstance(parameter.annotation, str):
        return _narrowed(parameter.annotation)
    default = parameter.default
    if default is None or default is parameter.empty:
        return Any
    kind = float if type(default) is int else type(default)
    return kind if is_supported(kind) else None


def _narrowed(hint: Any) -> Any:
    """``hint`` without the members of unions that a recipe cannot express, such as tensors; None if nothing is left."""
    if hint is None:
        return type(None)
    origin, inner = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        members = [found for found in map(_narrowed, inner) if found is not None]
        return reduce(or_, members) if any(one is not type(None) for one in members) else None
    if origin in (list, tuple, dict):
        parts = [one if one is ... else _narrowed(one) for one in inner]
        return None if None in parts else origin[tuple(parts)]
    return hint if is_supported(hint) else None


def _helps(documentation: str) -> dict[str, str]:
    """What a docstring in the style of Google or NumPy says of each parameter, in one line."""
    helps: dict[str, str] = {}
    name, indent = "", 0
    for line in documentation.splitlines():
        found = _NUMPY_PARAMETER.match(line) or _PARAMETER.match(line)
        if found and (not name or len(found["indent"]) <= indent):
            name, indent = found["name"], len(found["indent"])
            helps.setdefault(name, found.groupdict().get("text") or "")
        elif name and line.strip() and len(line) - len(line.lstrip()) > indent:
            helps[name] = f"{helps[name]} {line.strip()}".strip()
        elif line.strip():
            name, indent = "", 0
    return {name: _first_sentence(text) for name, text in helps.items()}


def _first_sentence(text: str) -> str:
    """Without the default, which is known, and without a period at the end."""
    sentence = re.split(r"\.\s|\s*\(default:", " ".join(text.split()), maxsplit=1)[0]
    return sentence.removesuffix(".")
