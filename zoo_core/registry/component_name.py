"""Which names a component may have."""

from __future__ import annotations

import re
from typing import Any, NamedTuple

from zoo_core.errors import describe_type

_WORDS = r"[a-z0-9]+([._-][a-z0-9]+)*"
_NAME = re.compile(rf"{_WORDS}(/{_WORDS})*")
_LONGEST = 200
_FORM = "a name should be lower-case words joined by '-', '.' or '_', or several such names joined by '/'"


class RefusedName(NamedTuple):
    """A name that a plugin registers but that can't be used; its other names can."""

    plugin: str
    kind: str
    name: str
    why: str


def why_refused(name: Any) -> str:
    """Why ``name`` can't be the name of a component, or "" if it can."""
    if not isinstance(name, str):
        return f"a name should be text, and not {describe_type(name)}"
    if len(name) > _LONGEST:
        return f"a name should have at most {_LONGEST} characters"
    return "" if _NAME.fullmatch(name) else _FORM
