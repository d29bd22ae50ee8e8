"""The form for a model: its controls, declared by the model or derived from the signature of ``predict``."""

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

_KINDS = ((bool, "bool"), (int, "int"), (float, "float"), (str, "text"))  # bool first: it is a subclass of int


@dataclass(frozen=True)
class Form:
    """The controls of a model's page, by argument of ``predict``."""

    controls: Mapping[str, Control]
    required: frozenset[str]
    """The arguments that must be set before ``predict`` can be called."""
    missing: tuple[str, ...]
    """Required arguments without a control: such a model can only be run with its ``example()``."""


def build_form(model: Model) -> Form:
    """The controls that ``model.controls()`` declares; if there are none, those for the signature of ``predict``.

    Raises:
        BadSetting: if there is a control for an argument that ``predict`` does not have.
    """
    parameters = dict(_parameters(model))
    declared = model.controls()
    for name in declared:
        if name not in parameters and not _has_var_keyword(model):
            raise BadSetting(
                f"{type(model).__name__}.controls() has '{name}', which is not an argument of predict.",
                f"The arguments are: {', '.join(parameters) or 'none'}.",
            )
    controls = declared or dict(_controls_from_signature(model, parameters))
    without_default = frozenset(name for name, one in parameters.items() if one.default is one.empty)
    required = without_default | {name for name, control in controls.items() if control.needed}
    missing = tuple(name for name in parameters if name in without_default and name not in controls)
    with_values = {name: _with_default(control, parameters.get(name)) for name, control in controls.items()}
    return Form(with_values, required, missing)


def _parameters(model: Model) -> Iterator[tuple[str, Parameter]]:
    for name, one in signature(model.predict).parameters.items():
        if one.kind in (one.POSITIONAL_OR_KEYWORD, one.KEYWORD_ONLY):
            yield name, one


def _has_var_keyword(model: Model) -> bool:
    return any(one.kind is one.VAR_KEYWORD for one in signature(model.predict).parameters.values())


def _controls_from_signature(model: Model, parameters: Mapping[str, Parameter]) -> Iterator[tuple[str, Control]]:
    hints, example = _type_hints(model), model.example()
    for name, one in parameters.items():
        default = None if one.default is one.empty else one.default
        value = default if default is not None else example.get(name)
        control = _control(hints.get(name, type(default)), value)
        if control is not None:
            yield name, control


def _type_hints(model: Model) -> dict[str, Any]:
    try:
        return get_type_hints(model.predict)
    except NameError:  # a type imported under TYPE_CHECKING only; arguments with a default still have its type
        return {}


def _control(hint: Any, value: Any) -> Control | None:
    """The control for a type; None if there is no control for it."""
    if get_origin(hint) is Literal:
        return Control("select", choices=get_args(hint), value=value)
    types = [one for one in get_args(hint) or (hint,) if one is not NoneType]
    if Path in types:
        return Control("image")
    if len(types) == 1 and get_origin(types[0]) is Literal:
        return Control("select", choices=get_args(types[0]), value=value)
    for kind, name in _KINDS:
        if types == [kind]:
            return Control(name, value=value if isinstance(value, (bool, int, float, str)) else None)  # type: ignore[arg-type]
    return None


def _with_default(control: Control, parameter: Parameter | None) -> Control:
    if control.value is not None or parameter is None or parameter.default is parameter.empty:
        return control
    return replace(control, value=parameter.default)
