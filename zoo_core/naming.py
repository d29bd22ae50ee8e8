"""Names that are not in use yet."""

from __future__ import annotations

from collections.abc import Callable


def unused_name(name: str, is_taken: Callable[[str], bool]) -> str:
    """``name``, or the first of ``name-2``, ``name-3``, … that is not taken."""
    number, unused = 1, name
    while is_taken(unused):
        number += 1
        unused = f"{name}-{number}"
    return unused
