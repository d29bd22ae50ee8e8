"""Names that are not in use yet, names with and without their plugin, and names of files."""

from __future__ import annotations

from collections.abc import Callable


def unused_name(name: str, is_taken: Callable[[str], bool]) -> str:
    """``name``, or the first of ``name-2``, ``name-3``, … that is not taken."""
    number, unused = 1, name
    while is_taken(unused):
        number += 1
        unused = f"{name}-{number}"
    return unused


def are_same(one: str, other: str) -> bool:
    """Whether two names are equal, except that one of them may include the plugin: ``unet`` and ``unet/unet``."""
    return one == other or one.endswith(f"/{other}") or other.endswith(f"/{one}")


def file_name(name: str) -> str:
    """``name`` as the name of one file: ``timm-resnet18`` for ``timm/resnet18``."""
    return name.replace("/", "-")
