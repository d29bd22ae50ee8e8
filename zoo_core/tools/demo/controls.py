"""From what a model declares to the controls of its page. Knows no Gradio."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from inspect import Parameter, signature
from pathlib import Path
from types import NoneType
from typing import Any, Literal, get_args, get_origin, get_type_hints

from zoo_core.config.control import Control
from zoo_core.errors import BadSetting
from zoo_core.model import Model

_KINDS = ((bool, "bool"), (int, "int"), (float, "float"), (str, "text"))  # True is an int, too


@dataclass(frozen=True)
class Asked:
    """The controls of a model's page, by the argument's name."""

    controls: Mapping[str, Control]
    required: frozenset[str]
    """The arguments without which nothing can be predicted."""
    unasked: tuple[str, ...]
    """Required arguments that no control gives: only ``example()`` can try such a model."""


def asked(model: Model) -> Asked:
    """What ``model.controls()`` says; where that says nothing, what ``predict``'s signature does.

    Raises:
        BadSetting: if it has a control for an argument that ``predict`` does not take.
    """
    parameters = dict(_named(model))
    declared = model.controls()
    for name in declared:
        if name not in parameters and not _takes_any(model):
            raise BadSetting(
                f"{type(model).__name__}.controls() has '{name}', which predict does not take.",
                f"It takes: {', '.join(parameters) or 'nothing'}.",
            )
    controls = declared or dict(_read_off(model, parameters))
    required = frozenset(name for name, one in parameters.items() if one.default is one.empty)
    needed = required | {name for name, control in controls.items() if control.needed}
    filled = {name: _filled(control, parameters.get(name)) for name, control in controls.items()}
    return Asked(filled, needed, tuple(name for name in parameters if name in required and name not in controls))


def _named(model: Model) -> Iterator[tuple[str, Parameter]]:
    for name, one in signature(model.predict).parameters.items():
        if one.kind in (one.POSITIONAL_OR_KEYWORD, one.KEYWORD_ONLY):
            yield name, one


def _takes_any(model: Model) -> bool:
    return any(one.kind is one.VAR_KEYWORD for one in signature(model.predict).parameters.values())


def _read_off(model: Model, parameters: Mapping[str, Parameter]) -> Iterator[tuple[str, Control]]:
    hints, example = _hints(model), model.example()
    for name, one in parameters.items():
        default = None if one.default is one.empty else one.default
        shown = default if default is not None else example.get(name)
        control = _control(hints.get(name, type(default)), shown)
        if control is not None:
            yield name, control


def _hints(model: Model) -> dict[str, Any]:
    try:
        return get_type_hints(model.predict)
    except NameError:  # a name that only a type checker imports: what has a default is still known by that
        return {}


def _control(hint: Any, shown: Any) -> Control | None:
    """The control for a type, or None where no control can give such a value."""
    if get_origin(hint) is Literal:
        return Control("select", choices=get_args(hint), value=shown)
    types = [one for one in get_args(hint) or (hint,) if one is not NoneType]
    if Path in types:
        return Control("image")
    if len(types) == 1 and get_origin(types[0]) is Literal:
        return Control("select", choices=get_args(types[0]), value=shown)
    for kind, name in _KINDS:
        if types == [kind]:
            return Control(name, value=shown if isinstance(shown, (bool, int, float, str)) else None)  # type: ignore[arg-type]
    return None


def _filled(control: Control, parameter: Parameter | None) -> Control:
    if control.value is not None or parameter is None or parameter.default is parameter.empty:
        return control
    return replace(control, value=parameter.default)
