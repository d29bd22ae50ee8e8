"""Settings of components: frozen dataclasses in which every field has a default, a help text and bounds."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from functools import cache, partial
from types import EllipsisType
from typing import Any, TypeVar, get_type_hints, overload

from zoo_core.config.suggestion import suggestion
from zoo_core.config.types import Refused, article, convert, is_supported, type_name
from zoo_core.config.word import not_yaml, value_of
from zoo_core.config.writable import items_of, refuse_unwritable
from zoo_core.errors import BadSetting, BrokenPlugin, in_yaml, nearest

C = TypeVar("C")
T = TypeVar("T")
_BOUNDS: dict[str, tuple[str, Callable[[Any, Any], bool]]] = {
    "gt": ("above", lambda value, bound: value > bound),
    "ge": ("at least", lambda value, bound: value >= bound),
    "lt": ("below", lambda value, bound: value < bound),
    "le": ("at most", lambda value, bound: value <= bound),
}


@overload
def setting(
    default: EllipsisType = ...,
    help: str = "",
    *,
    gt: float | None = None,
    ge: float | None = None,
    lt: float | None = None,
    le: float | None = None,
    from_dataset: str | None = None,
) -> Any: ...


@overload
def setting(
    default: T,
    help: str = "",
    *,
    gt: float | None = None,
    ge: float | None = None,
    lt: float | None = None,
    le: float | None = None,
    from_dataset: str | None = None,
) -> T: ...


def setting(
    default: Any = ...,
    help: str = "",
    *,
    gt: float | None = None,
    ge: float | None = None,
    lt: float | None = None,
    le: float | None = None,
    from_dataset: str | None = None,
) -> Any:
    """Define a setting: a field of a ``Config``, with its default value, its meaning and its range.

    The type of the field is that of its annotation: ``bool``, ``int``, ``float``, ``str``, ``None``, a ``Literal``,
    unions of them, and lists, tuples and dicts of them. Values in recipes and overrides are checked against the type
    and the range; ``zoo info`` shows both.

    Parameters
    ----------
    default : object, optional
        The default value; a list or dict is copied for each ``Config``. Without it the setting is required.
    help : str
        The meaning of the setting, in a few words. Must not be empty.
    gt : float, optional
        Lower bound, exclusive. In lists, tuples and dicts each number is checked.
    ge : float, optional
        Lower bound, inclusive.
    lt : float, optional
        Upper bound, exclusive; ``math.inf`` for finite numbers only.
    le : float, optional
        Upper bound, inclusive.
    from_dataset : str, optional
        For settings of models and trainers: what `Dataset.provides` calls the value. A recipe that leaves the setting
        open takes it from its dataset, and the default value is for datasets that do not provide it. A recipe that
        contradicts its dataset is refused.

    Returns
    -------
    dataclasses.Field
        The field. Type checkers see the type of the default value.

    Examples
    --------
    >>> @dataclass(frozen=True, kw_only=True)
    ... class Config:
    ...     width: int = zoo.setting(64, "length of the code", ge=1)
    ...     dropout: float = zoo.setting(0.0, "probability that a unit is zeroed", ge=0, lt=1)
    ...     folder: str = zoo.setting(help="folder of the images")
    >>> Config(folder="photos").width
    64
    """
    bounds = {"gt": gt, "ge": ge, "lt": lt, "le": le}
    metadata = {
        "help": help,
        "bounds": {key: bound for key, bound in bounds.items() if bound is not None},
        "from_dataset": from_dataset or "",
    }
    if default is ...:
        return dataclasses.field(metadata=metadata)
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
    from_dataset: str = ""


def describe(config_class: type[Any]) -> list[SettingInfo]:
    """Every setting of ``config_class``, in the order of definition."""
    hints = _hints(config_class)
    return [
        SettingInfo(
            field.name,
            type_name(hints[field.name]),
            None if _is_required(field) else _default(field),
            " ".join([field.metadata.get("help", ""), *_bounds_words(field), *_dataset_words(field)]),
            _is_required(field),
            field.metadata.get("from_dataset", ""),
        )
        for field in dataclasses.fields(config_class)
    ]


def from_dataset(config_class: type[Any]) -> dict[str, str]:
    """For each setting that the dataset may provide, what `Dataset.provides` calls it."""
    names = {field.name: field.metadata.get("from_dataset", "") for field in dataclasses.fields(config_class)}
    return {name: key for name, key in names.items() if key}


def fit(config_class: type[Any], name: str, value: Any) -> tuple[Any, str]:
    """``value`` in the type of a setting; and what it should be ("an int", "at least 1") if it cannot be its value."""
    hint = _hints(config_class)[name]
    converted = convert(value, hint)
    if isinstance(converted, Refused):
        return value, article(type_name(hint))
    (field,) = (field for field in dataclasses.fields(config_class) if field.name == name)
    return converted, _violated_bound(field, converted)


def read(
    config_class: type[C],
    values: Mapping[str, Any],
    owner: str,
    prefix: str = "",
    where: Callable[[str], str] = lambda key: "",
) -> C:
    """``values`` as a ``config_class``, with every key, type and bound checked.

    In messages, ``owner`` is the component ("trainer 'clsgan'"), ``prefix`` its part of the recipe ("trainer"), and
    ``where`` returns the source of a full key ("registry.yaml:14: ").

    Raises:
        BadSetting: for an unknown key, a value of the wrong type or out of bounds, or a missing value.
    """
    checked = check(config_class, values, owner, prefix, where)
    try:
        return config_class(**checked)
    except ValueError as error:  # from its __post_init__, which may check settings against each other
        if isinstance(error, BadSetting):
            raise
        raise BadSetting(f"{where(prefix)}the settings of {owner} are invalid: {error}.") from error


def check(
    config_class: type[Any],
    values: Mapping[str, Any],
    owner: str,
    prefix: str = "",
    where: Callable[[str], str] = lambda key: "",
    left_open: Collection[str] = (),
) -> dict[str, Any]:
    """The checked ``values`` and the defaults of the others, without those ``left_open``; as :func:`read` otherwise."""
    check_keys(config_class, values, owner, prefix, where)
    hints = _hints(config_class)
    checked: dict[str, Any] = {}
    for field in dataclasses.fields(config_class):
        name = field.name
        full_key = f"{prefix}.{name}" if prefix else name
        if name in left_open:
            continue
        if name not in values and not _is_required(field):
            checked[name] = _default(field)
            continue
        if values.get(name, "???") == "???":  # OmegaConf's mark of a mandatory value
            raise BadSetting(
                f"{where(full_key if name in values else prefix)}{full_key} is missing, "
                f"but {owner} requires it ({field.metadata['help']}).",
                f"Add `{full_key}=…`: {type_name(hints[name])}.",
            )
        checked[name] = convert(values[name], hints[name])
        if isinstance(checked[name], Refused):
            expected, given = type_name(hints[name]), value_of(values[name])
            raise BadSetting(
                f"{where(full_key)}{full_key} is {in_yaml(given)}, but should be {article(expected)} "
                f"({field.metadata.get('help', '')}).",
                not_yaml(values[name]) or suggestion(full_key, given, hints[name]) or _default_words(field),
            )
        if bound := _violated_bound(field, checked[name]):
            raise BadSetting(
                f"{where(full_key)}{full_key} is {in_yaml(value_of(values[name]))}, but should be {bound} "
                f"({field.metadata['help']}).",
                _default_words(field),
            )
    return checked


def check_keys(
    config_class: type[Any],
    values: Mapping[str, Any],
    owner: str,
    prefix: str = "",
    where: Callable[[str], str] = lambda key: "",
) -> None:
    """Check the keys of ``values`` alone; the arguments are those of :func:`read`.

    Raises:
        BadSetting: if ``values`` is not a mapping, for an unknown key, or for a value with an interpolation.
    """
    if not isinstance(values, Mapping):
        raise BadSetting(
            f"{where(prefix)}the settings of {owner} are {values!r}, but should be a mapping.",
            'Write for example {"num_classes": 10}.',
        )
    known = [field.name for field in dataclasses.fields(config_class)]
    for key, value in values.items():
        full_key = f"{prefix}.{key}" if prefix else key
        if key not in known:
            near = nearest(str(key), known)
            all_settings = "Its settings: " + ", ".join(known) + "." if known else "It has no settings."
            raise BadSetting(
                f"{where(full_key)}{full_key}: {owner} has no such setting.",
                f"Did you mean '{full_key.removesuffix(str(key))}{near}'?" if near else all_settings,
            )
        refuse_unwritable(full_key, value, partial(where, full_key))


def _types(config_class: type[Any]) -> dict[str, Any]:
    """The type of every setting.

    Raises:
        BrokenPlugin: if one has a type that YAML cannot express, or a default that violates its type or bounds.
    """
    hints = get_type_hints(config_class)
    for field in dataclasses.fields(config_class):
        hint, name = hints[field.name], f"{config_class.__qualname__}.{field.name}"
        if not is_supported(hint):
            raise BrokenPlugin(
                f"{name} is {article(type_name(hint))}, which a recipe cannot express.",
                "Use bool, int, float, str, None, Literal, and lists, tuples and dicts of these.",
            )
        if _is_required(field):
            continue
        default, expected = _default(field), type_name(hint)
        if isinstance(convert(default, hint), Refused):
            raise BrokenPlugin(f"the default of {name} is {in_yaml(default)}, but should be {article(expected)}.")
        if bound := _violated_bound(field, default):
            raise BrokenPlugin(f"the default of {name} is {in_yaml(default)}, but should be {bound}.")
    return hints


_hints: Callable[[Any], dict[str, Any]] = cache(_types)


def _numbers(value: Any) -> Iterator[float]:
    """Every number in ``value``: bounds do not apply to the text of an ``int | str``."""
    if isinstance(value, (int, float)):
        yield value
    for _, element in items_of(value):
        yield from _numbers(element)


def _violated_bound(field: dataclasses.Field[Any], value: Any) -> str:
    """The bound that a number in ``value`` violates, in words, or ""."""
    for bound, words, holds in _bounds(field):
        if any(not holds(number, bound) for number in _numbers(value)):
            return _in_words(words, bound)
    return ""


def _bounds(field: dataclasses.Field[Any]) -> Iterator[tuple[float, str, Callable[[Any, Any], bool]]]:
    for key, bound in field.metadata.get("bounds", {}).items():
        words, holds = _BOUNDS[key]
        yield bound, words, holds


def _bounds_words(field: dataclasses.Field[Any]) -> list[str]:
    words = [_in_words(words, bound) for bound, words, _ in _bounds(field)]
    return [f"({', '.join(words)})"] if words else []


def _dataset_words(field: dataclasses.Field[Any]) -> list[str]:
    return [f"(from the dataset: {key})"] if (key := field.metadata.get("from_dataset")) else []


def _in_words(words: str, bound: float) -> str:
    return "finite" if bound == math.inf else f"{words} {in_yaml(bound)}"


def _is_required(field: dataclasses.Field[Any]) -> bool:
    return field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING


def _default(field: dataclasses.Field[Any]) -> Any:
    return field.default if field.default_factory is dataclasses.MISSING else field.default_factory()


def _default_words(field: dataclasses.Field[Any]) -> str | None:
    return None if _is_required(field) else f"Leave it out for its default, {in_yaml(_default(field))}."
