"""Packages that zoo itself does not need, and some of what it offers does."""

from __future__ import annotations

from importlib.util import find_spec

from zoo_core.errors import ZooError


def check_packages(whose: str, names: tuple[str, ...], hint: str) -> None:
    """Refuse to begin without the packages that ``whose`` ("a sweep") needs.

    Raises:
        ZooError: if one is missing; names those that are.
    """
    missing = [name for name in names if find_spec(name) is None]
    if missing:
        are = "is" if len(missing) == 1 else "are"
        raise ZooError(f"{whose} needs {' and '.join(missing)}, which {are} not installed.", hint)
