"""Controls of ``zoo demo``: how the page asks for one argument of ``predict``."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

from zoo_core.errors import BadSetting

Kind = Literal["int", "float", "bool", "select", "multiselect", "text", "image", "video"]
KINDS: tuple[str, ...] = get_args(Kind)


@dataclass(frozen=True)
class Control:
    """A control of the page that ``zoo demo`` shows: how it asks for one argument of `Model.predict`.

    `Model.controls` returns the controls by the name of the argument.

    Parameters
    ----------
    kind : {"int", "float", "bool", "select", "multiselect", "text", "image", "video"}
        ``"int"`` and ``"float"`` are sliders if both ``minimum`` and ``maximum`` are given, otherwise number fields;
        ``"bool"`` is a checkbox; ``"select"`` is one of ``choices``, and ``"multiselect"`` a list of them; ``"text"``
        is one line of text. ``"image"`` and ``"video"`` are uploaded files; `Model.predict` receives their path.
    label : str, default ""
        Text shown with the control. By default the name of the argument.
    minimum : float, optional
        Smallest number allowed.
    maximum : float, optional
        Largest number allowed.
    step : float, optional
        Step of the slider.
    choices : sequence of object, default ()
        What to choose from; required for ``"select"`` and ``"multiselect"``.
    value : object, optional
        Initial value. By default the default value of the argument.
    draw : tuple of (int, int), optional
        Height and width in pixels of an image that can be drawn instead of uploaded: white on black, stored as a gray
        PNG. For ``"image"``.
    needed : bool, default False
        Whether the argument must be given although `Model.predict` has a default for it.
    plural : str, default ""
        The name under which ``zoo predict`` takes many files for this argument. By default the name of the argument
        with an s, ``images`` for ``image``. For ``"image"`` and ``"video"``.

    Raises
    ------
    BadSetting
        If the kind is unknown, or there are no choices where they are required.

    See Also
    --------
    Model.controls : Where the controls of a model are defined.

    Examples
    --------
    >>> control = zoo.Control("int", "seed", minimum=0, maximum=999)
    >>> control.read("seed", 7.0)
    7
    """

    kind: Kind
    label: str = ""
    minimum: float | None = None
    maximum: float | None = None
    step: float | None = None
    choices: Sequence[Any] = ()
    value: Any = None
    draw: tuple[int, int] | None = None
    needed: bool = False
    plural: str = ""

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise BadSetting(f"there is no control of kind '{self.kind}'.", f"Choose from {', '.join(KINDS)}.")
        if self.kind in ("select", "multiselect") and not len(self.choices):
            raise BadSetting(
                f"a control of kind '{self.kind}' has no choices.", "Write for example choices=['a', 'b']."
            )

    def read(self, name: str, value: Any) -> Any:
        """Check a value that the page sent.

        Parameters
        ----------
        name : str
            Name of the argument, for error messages.
        value : object
            The value; None or an empty string if the control was left empty.

        Returns
        -------
        object
            The value for `Model.predict`, or None if the control was left empty.

        Raises
        ------
        BadSetting
            If the value has the wrong type, is out of range, or is not one of the choices.
        """
        if value is None or value == "":
            return None
        if self.kind in ("int", "float"):
            return self._number(name, value)
        if self.kind == "bool" and not isinstance(value, bool):
            raise BadSetting(f"{name} is {value!r}, but should be true or false.")
        if self.kind == "select":
            return self._choice(name, value)
        if self.kind == "multiselect":
            return [self._choice(name, one) for one in value] or None
        return value

    def _number(self, name: str, value: Any) -> Any:
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
            raise BadSetting(f"{name} is {value!r}, but should be a number.")
        if self.kind == "int":
            if value != int(value):
                raise BadSetting(f"{name} is {value!r}, but should be an integer.")
            value = int(value)
        if self.minimum is not None and value < self.minimum:
            raise BadSetting(f"{name} is {value}, but should be at least {self.minimum}.")
        if self.maximum is not None and value > self.maximum:
            raise BadSetting(f"{name} is {value}, but should be at most {self.maximum}.")
        return value

    def _choice(self, name: str, value: Any) -> Any:
        if value not in self.choices:
            raise BadSetting(f"{name} is {value!r}.", f"Choose from {', '.join(map(str, self.choices))}.")
        return value
