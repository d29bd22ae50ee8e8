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
    """How ``zoo demo`` asks for one argument of ``predict``. ``Model.controls`` gives them by the arguments' names.

    ``int`` and ``float`` are sliders where both ``minimum`` and ``maximum`` are given, otherwise a field to type in;
    ``bool`` is True or False; ``select`` is one of ``choices``, and ``multiselect`` a list of any of them; ``text`` is
    a line of it. ``image`` and ``video`` are files that are uploaded, and ``predict`` is given their path; with
    ``draw``, a height and a width, a picture may be drawn, too: a gray PNG of that size, white on black.

    Raises:
        BadSetting: if the kind is another, or a choice has nothing to choose from.
    """

    kind: Kind
    label: str = ""
    """What stands above it, otherwise the argument's name; may say more than a name can."""
    minimum: float | None = None
    maximum: float | None = None
    step: float | None = None
    choices: Sequence[Any] = ()
    value: Any = None
    """What it shows at first. None: what ``predict`` takes by default."""
    draw: tuple[int, int] | None = None

    needed: bool = False
    """Whether nothing can be predicted without it, though ``predict`` has a default for it."""

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise BadSetting(f"there is no control of kind '{self.kind}'.", f"Choose from {', '.join(KINDS)}.")
        if self.kind in ("select", "multiselect") and not len(self.choices):
            raise BadSetting(
                f"a control of kind '{self.kind}' has no choices.", "Write for example choices=['a', 'b']."
            )

    def read(self, name: str, value: Any) -> Any:
        """The value that the page sent, checked; None if the control was left empty.

        Raises:
            BadSetting: if this control does not accept the value.
        """
        if value is None or value == "":
            return None
        if self.kind in ("int", "float"):
            return self._number(name, value)
        if self.kind == "bool" and not isinstance(value, bool):
            raise BadSetting(f"{name} is {value!r}, but should be true or false.")
        if self.kind == "select":
            return self._chosen(name, value)
        if self.kind == "multiselect":
            return [self._chosen(name, one) for one in value] or None
        return value

    def _number(self, name: str, value: Any) -> Any:
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
            raise BadSetting(f"{name} is {value!r}, but should be a number.")
        if self.kind == "int":
            if value != int(value):
                raise BadSetting(f"{name} is {value!r}, but should be a whole number.")
            value = int(value)
        if self.minimum is not None and value < self.minimum:
            raise BadSetting(f"{name} is {value}, but should be at least {self.minimum}.")
        if self.maximum is not None and value > self.maximum:
            raise BadSetting(f"{name} is {value}, but should be at most {self.maximum}.")
        return value

    def _chosen(self, name: str, value: Any) -> Any:
        if value not in self.choices:
            raise BadSetting(f"{name} is {value!r}.", f"Choose from {', '.join(map(str, self.choices))}.")
        return value
