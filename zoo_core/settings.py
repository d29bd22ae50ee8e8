"""Settings of components: frozen dataclasses whose every field has a default, a help line and bounds.

OmegaConf checks keys and types; its objects never leave this file, so that a component holds plain Python values.
"""

from __future__ import annotations

import dataclasses
import re
import types
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache, partial
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from zoo_core.errors import BadSetting, did_you_mean, in_yaml, nearest

C = TypeVar("C")
REQUIRED: Any = dataclasses.MISSING
_SCALARS = (bool, int, float, str, type(None))
_hints: Callable[[Any], dict[str, Any]] = cache(get_type_hints)
_BOUNDS: dict[str, tuple[str, Callable[[Any, Any], bool]]] = {
    "above": ("above", lambda value, bound: value > bound),
    "least": ("at least", lambda value, bound: value >= bound),
    "below": ("below", lambda value, bound: value < bound),
    "most": ("at most", lambda value, bound: value <= bound),
}


def setting(
    default: Any = REQUIRED,
    help: str = "",
    *,
    above: float | None = None,
    least: float | None = None,
    below: float | None = None,
    most: float | None = None,
) -> Any:
    """A field of a ``Config``: its default, what it means, and the range it must lie in.

    Without a default the recipe must give it. ``above`` and ``below`` exclude their bound, ``least`` and ``most``
    include it; each holds for every element of a list or tuple.
    """
    bounds = {"above": above, "least": least, "below": below, "most": most}
    metadata = {"help": help, "bounds": {key: bound for key, bound in bounds.items() if bound is not None}}
    if isinstance(default, (list, dict)):
        return dataclasses.field(default_factory=default.copy, metadata=metadata)
    return dataclasses.field(default=default, metadata=metadata)


@dataclass(frozen=True)
class SettingInfo:
    """One setting, as ``zoo info`` shows it."""

    name: str
    type: str
    default: Any
    help: str
    required: bool


def describe(config_class: type[Any]) -> list[SettingInfo]:
    """Every setting of ``config_class``, in the order it was written."""
    hints = get_type_hints(config_class)
    return [
        SettingInfo(
            field.name,
            type_name(hints[field.name]),
            None if _is_required(field) else _default(field),
            " ".join([field.metadata.get("help", ""), *_bounds_words(field)]),
            _is_required(field),
        )
        for field in dataclasses.fields(config_class)
    ]


def check_config_class(owner: type[Any]) -> None:
    """Refuse, as the class is defined, a ``Config`` that could not be documented or could change under a run."""
    config_class = owner.__dict__.get("Config")
    if config_class is None:
        return
    write = "Write it as `@dataclass(frozen=True, kw_only=True) class Config:`."
    parameters = getattr(config_class, "__dataclass_params__", None)
    if not (parameters and parameters.frozen and all(field.kw_only for field in dataclasses.fields(config_class))):
        raise TypeError(f"{owner.__name__}.Config should be a frozen, keyword-only dataclass. {write}")
    for field in dataclasses.fields(config_class):
        if not field.metadata.get("help"):
            raise TypeError(
                f"{owner.__name__}.Config.{field.name} should say what it means. "
                f'Write `{field.name}: … = zoo.setting(default, "what it means")`.'
            )


def read(
    config_class: type[C],
    values: Mapping[str, Any],
    whose: str,
    prefix: str = "",
    where: Callable[[str], str] = lambda key: "",
) -> C:
    """``values`` as a ``config_class``, every key, type and bound checked.

    ``whose`` names the component in an error ("trainer 'clsgan'"), ``prefix`` its part of a recipe ("trainer"),
    and ``where`` gives the place of a full key ("registry.yaml:14: ").

    Raises:
        BadSetting: for an unknown key, a value of another type or out of bounds, or a missing value.
    """
    fields = {field.name: field for field in dataclasses.fields(config_class)}  # type: ignore[arg-type]
    hints = _hints(config_class)
    for key, value in values.items():
        full_key = f"{prefix}.{key}" if prefix else key
        if key not in fields:
            near = nearest(str(key), fields)
            known = "Its settings: " + ", ".join(fields) + "." if fields else "It has no settings."
            raise BadSetting(
                f"{where(full_key)}{full_key}: {whose} has no such setting.",
                f"Did you mean '{full_key.removesuffix(str(key))}{near}'?" if near else known,
            )
        _refuse_interpolation(full_key, value, partial(where, full_key))
    checked: dict[str, Any] = {}
    for name, field in fields.items():
        full_key = f"{prefix}.{name}" if prefix else name
        if name not in values and not _is_required(field):
            continue
        if values.get(name, "???") == "???":  # as OmegaConf writes a value that its user must give
            raise BadSetting(
                f"{where(full_key if name in values else prefix)}{full_key} is missing, "
                f"but {whose} needs it ({field.metadata['help']}).",
                f"Add `{full_key}=…`: {type_name(hints[name])}.",
            )
        checked[name] = _convert(config_class, name, values[name])
        if isinstance(checked[name], _Refused):
            expected = type_name(hints[name])
            raise BadSetting(
                f"{where(full_key)}{full_key} is {in_yaml(values[name])}, but should be {_article(expected)} "
                f"({field.metadata.get('help', '')}).",
                _cure(full_key, values[name], hints[name]),
            )
        for bound, words, holds in _bounds(field):
            if any(not holds(element, bound) for element in _elements(checked[name])):
                raise BadSetting(
                    f"{where(full_key)}{full_key} is {in_yaml(values[name])}, but should be {words} {in_yaml(bound)} "
                    f"({field.metadata['help']})."
                )
    return config_class(**checked)


def type_name(hint: Any) -> str:
    """A type as a user would say it: ``float``, ``one of gan, lsgan``, ``int or null``, ``list of 2 float``."""
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is Literal:
        return "one of " + ", ".join(str(argument) for argument in arguments)
    if origin in (Union, types.UnionType):
        return " or ".join("null" if argument is type(None) else type_name(argument) for argument in arguments)
    if origin is tuple:
        if arguments[-1] is Ellipsis:
            return f"list of {type_name(arguments[0])}"
        return f"list of {len(arguments)} {type_name(arguments[0])}"
    if origin is list:
        return f"list of {type_name(arguments[0])}"
    if origin is dict:
        return f"mapping from {type_name(arguments[0])} to {type_name(arguments[1])}"
    return getattr(hint, "__name__", str(hint))


class _Refused:
    """The mark of a value that does not fit its type."""


def _convert(config_class: type[Any], name: str, value: Any) -> Any:
    """``value`` as the field's type, or :class:`_Refused`. The field is checked alone, so the key is always known."""
    hint = _hints(config_class)[name]
    plain = _plain(value, hint)
    if not isinstance(plain, _Refused):
        return plain  # without OmegaConf, whose import a light command would feel
    from omegaconf import OmegaConf
    from omegaconf.errors import ConfigKeyError, MissingMandatoryValue, OmegaConfBaseException

    one_field = dataclasses.make_dataclass("Settings", [(name, hint)])
    try:
        config = OmegaConf.merge(OmegaConf.structured(one_field), OmegaConf.create({name: value}))
        return getattr(OmegaConf.to_object(config), name)
    except MissingMandatoryValue:
        return _Refused()
    except ConfigKeyError:
        raise
    except (OmegaConfBaseException, TypeError):  # a mapping for a list is a TypeError
        return _Refused()


def _plain(value: Any, hint: Any) -> Any:
    """``value``, if it is of the type as YAML has it, or :class:`_Refused`: then OmegaConf may still make it fit."""
    origin, inner = get_origin(hint), get_args(hint)
    if origin is Literal and type(value) is str and value in inner:
        return value
    if hint is Any or (origin in (Union, types.UnionType) and type(value) in inner):
        return value if type(value) in _SCALARS else _Refused()
    if origin is dict and type(value) is dict and all(type(key) is inner[0] is str for key in value):
        held = {key: _plain(one, inner[1]) for key, one in value.items()}
        return held if not any(isinstance(one, _Refused) for one in held.values()) else _Refused()
    if origin is tuple and type(value) is list:
        each = inner[:1] * len(value) if inner[1:] == (...,) else inner
        items = tuple(map(_plain, value, each))
        return items if len(value) == len(each) and not any(isinstance(one, _Refused) for one in items) else _Refused()
    return value if hint in _SCALARS and type(value) is hint else _Refused()


def _refuse_interpolation(full_key: str, value: Any, where: Callable[[], str]) -> None:
    """A stranger's ``${oc.env:SECRET}`` would be resolved here and written into the run's folder."""
    if isinstance(value, str) and "${" in value:
        raise BadSetting(
            f"{where()}{full_key} is {value!r}, but recipes do not interpolate.",
            "Write the value itself, or use `extends`.",
        )
    for key, element in _items(value):
        _refuse_interpolation(f"{full_key}.{key}", element, where)


def _items(value: Any) -> Iterator[tuple[Any, Any]]:
    if isinstance(value, Mapping):
        yield from value.items()
    elif isinstance(value, (list, tuple)):
        yield from enumerate(value)


def _elements(value: Any) -> list[Any]:
    if value is None:
        return []
    return [element for _, element in _items(value)] if isinstance(value, (list, tuple, dict)) else [value]


def _bounds(field: dataclasses.Field[Any]) -> Iterator[tuple[float, str, Callable[[Any, Any], bool]]]:
    for key, bound in field.metadata.get("bounds", {}).items():
        words, holds = _BOUNDS[key]
        yield bound, words, holds


def _bounds_words(field: dataclasses.Field[Any]) -> list[str]:
    words = [f"{words} {bound}" for bound, words, _ in _bounds(field)]
    return [f"({', '.join(words)})"] if words else []


def _is_required(field: dataclasses.Field[Any]) -> bool:
    return field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING


def _default(field: dataclasses.Field[Any]) -> Any:
    return field.default if field.default_factory is dataclasses.MISSING else field.default_factory()


def _cure(full_key: str, value: Any, hint: Any) -> str | None:
    if get_origin(hint) is Literal and isinstance(value, str):
        return did_you_mean(value, [str(choice) for choice in get_args(hint)])
    if hint is int and isinstance(value, float) and value.is_integer():
        return f"Write `{full_key}={int(value)}`."
    if hint is float and isinstance(value, str) and re.fullmatch(r"[-+]?[\d.]+[eE][-+]?\d+", value):
        return f"Write `{full_key}={float(value)}`."
    return None


def _article(expected: str) -> str:
    if expected.startswith("one of"):
        return expected
    return f"an {expected}" if expected[0] in "aeiou" else f"a {expected}"
