"""Subclasses of a registered class, with other defaults of settings or for a member of a family."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from functools import cache
from typing import Any, get_type_hints

from zoo_core.config.types import Refused, article, convert, type_name
from zoo_core.errors import BrokenPlugin, did_you_mean, in_yaml


def check_defaults(settings: Any, registers: str) -> None:
    """Raise BrokenPlugin unless ``settings`` maps names to plain values. Its class checks them when it is used."""
    try:
        valid = isinstance(settings, Mapping) and all(isinstance(key, str) for key in settings)
        json.dumps(dict(settings) if valid else None)
    except (TypeError, ValueError):
        valid = False
    if not valid:
        raise BrokenPlugin(
            f"{registers} with settings that are {settings!r}, but should map names to plain values.",
            "Write for example settings={'depth': 50}.",
        )


def with_defaults(config_class: type[Any], settings: Mapping[str, Any], owner: str) -> type[Any]:
    """``config_class`` with other default values. ``owner`` is the component in messages, such as "model 'unet'".

    Raises:
        BrokenPlugin: if a setting does not exist or has another type.
    """
    key: Any = config_class
    return _with_defaults(key, json.dumps(dict(settings)), owner) if settings else config_class


def variant(component: type[Any], settings: Mapping[str, Any], member: str, owner: str) -> type[Any]:
    """A subclass of ``component`` with other default values, or for a member of a family; itself if it has neither.

    Raises:
        BrokenPlugin: as :func:`with_defaults`.
    """
    if not settings and not member:
        return component
    key: Any = component
    return _variant(key, json.dumps(dict(settings)), member, owner)


@cache
def _with_defaults(config_class: type[Any], settings: str, owner: str) -> type[Any]:
    known = {field.name: field for field in dataclasses.fields(config_class)}
    hints = get_type_hints(config_class)
    changed = []
    for name, value in json.loads(settings).items():
        if name not in known:
            raise BrokenPlugin(
                f"{owner} is registered with settings={{'{name}': …}}, but its class has no such setting.",
                did_you_mean(name, known, f"Its settings: {', '.join(known)}." if known else "It has no settings."),
            )
        default = convert(value, hints[name])
        if isinstance(default, Refused):
            raise BrokenPlugin(
                f"{owner} is registered with settings={{'{name}': {in_yaml(value)}}}, but {name} should be "
                f"{article(type_name(hints[name]))}.",
                "Correct it where the plugin registers the name, or ask its author to.",
            )
        changed.append((name, hints[name], _field(default, known[name].metadata)))
    made = dataclasses.make_dataclass(config_class.__name__, changed, bases=(config_class,), frozen=True, kw_only=True)
    made.__module__, made.__qualname__ = config_class.__module__, config_class.__qualname__
    origin = (config_class, settings, owner)
    restoring: Any = made
    restoring.__reduce__ = lambda config: (_restore_config, (origin, vars(config)))
    return made


@cache
def _variant(component: type[Any], settings: str, member: str, owner: str) -> type[Any]:
    body: dict[str, Any] = {
        "__module__": component.__module__,
        "__qualname__": component.__qualname__,
        "__doc__": component.__doc__,
        "__reduce_ex__": lambda one, _: (_restore, (component, settings, member, owner), one.__getstate__()),
    }
    if member:
        body["member"] = member
    if changed := json.loads(settings):
        body["Config"] = with_defaults(component.Config, changed, owner)
    name = f"{component.__name__}[{member}]" if member else component.__name__
    metaclass: Any = type(component)
    made: type[Any] = metaclass(name, (component,), body)
    return made


def _restore(*origin: Any) -> Any:
    """An instance without a state, for ``copy`` and for worker processes, which do not find the class by its name."""
    made: Any = _variant(*origin)
    return made.__new__(made)


def _restore_config(origin: Any, values: Mapping[str, Any]) -> Any:
    return _with_defaults(*origin)(**values)


def _field(default: Any, metadata: Mapping[str, Any]) -> Any:
    if isinstance(default, (list, dict)):
        return dataclasses.field(default_factory=default.copy, metadata=dict(metadata))
    return dataclasses.field(default=default, metadata=dict(metadata))
