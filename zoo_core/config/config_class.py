"""The ``Config`` of a component class: made a frozen, keyword-only dataclass, and checked."""

from __future__ import annotations

import dataclasses
import inspect
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, kw_only=True)
class NoSettings:
    """The ``Config`` of a component that has nothing to set."""


def prepare_config_class(owner: type[Any]) -> None:
    """Make ``owner.Config`` a frozen, keyword-only dataclass, unless it is one. Called for each new component class.

    Raises:
        TypeError: if it cannot be one, if a setting lacks its type or help text, or if its values could be modified.
    """
    config_class = _config_class(owner)
    if config_class is not owner.Config:
        owner.Config = config_class
    name = f"{owner.__name__}.Config"
    if not isinstance(config_class, type):
        raise TypeError(f"{name} should be a class, but is {config_class!r}. Write `class Config:` in the class.")
    if "__dataclass_params__" not in vars(config_class):
        _make_dataclass(config_class, name)
    parameters = vars(config_class)["__dataclass_params__"]
    fields = dataclasses.fields(config_class)
    if not (parameters.frozen and all(field.kw_only for field in fields)):
        raise TypeError(
            f"{name} should be a frozen, keyword-only dataclass. Write `class Config:` without a decorator, or "
            "with `@dataclass(frozen=True, kw_only=True)`."
        )
    for field in fields:
        if not field.metadata.get("help"):
            raise TypeError(
                f"{name}.{field.name} has no help text. "
                f'Write `{field.name}: … = zoo.setting(default, "what it means")`.'
            )
        if field.name == "name" or not field.init:
            why = "in a recipe, `name` is the component's name" if field.init else "init=False, so recipes can't set it"
            hint = "Rename it." if field.init else "Remove init=False."
            raise TypeError(f"{name}.{field.name} can't be a setting: {why}. {hint}")


def _config_class(owner: type[Any]) -> Any:
    """The first ``Config`` of ``owner`` and its base classes, a mixin's before that of a class without settings."""
    found = (vars(base)["Config"] for base in owner.__mro__ if "Config" in vars(base))
    return next((config for config in found if config is not NoSettings), NoSettings)


def _make_dataclass(config_class: type[Any], name: str) -> None:
    for base in config_class.__mro__:
        if base is not config_class and dataclasses.is_dataclass(base):
            continue
        annotated = inspect.get_annotations(base)
        for key, value in vars(base).items():
            if not isinstance(value, dataclasses.Field):
                continue
            if base is not config_class:  # the settings of a plain base class would be left out
                raise TypeError(
                    f"{name} inherits the setting '{key}' from {base.__name__}, which should be a dataclass. "
                    f"Write `@dataclass(frozen=True, kw_only=True)` above {base.__name__}."
                )
            if key not in annotated:
                raise TypeError(f"{name}.{key} has no type. Write for example `{key}: int = zoo.setting(…)`.")
    try:
        dataclass(frozen=True, kw_only=True)(config_class)
    except (TypeError, ValueError) as error:  # a mutable default value, or a base class that is not frozen
        raise TypeError(
            f"{name} can't be a frozen dataclass: {error}. "
            'Write each setting as `width: int = zoo.setting(64, "what it means")`.'
        ) from error
