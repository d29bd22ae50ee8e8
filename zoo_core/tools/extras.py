"""Check for the optional packages that some commands need."""

from __future__ import annotations

from importlib.util import find_spec

from zoo_core.errors import ZooError


def check_packages(feature: str, names: tuple[str, ...], hint: str) -> None:
    """Check that the packages that ``feature`` ("a sweep") needs are installed.

    Raises:
        ZooError: if some are missing; names them.
    """
    missing = [name for name in names if find_spec(name) is None]
    if missing:
        verb = "is" if len(missing) == 1 else "are"
        raise ZooError(f"{feature} needs {' and '.join(missing)}, which {verb} not installed.", hint)
