"""The names of timm's models, without importing timm, which imports torch."""

from __future__ import annotations

import re
from importlib.util import find_spec
from pathlib import Path

_REGISTERED = re.compile(r"^@register_model\b.*\n(?:@.*\n)*def (\w+)\(", re.MULTILINE)


def names() -> list[str]:
    """The names of ``timm.list_models()``, from the functions that its source files register."""
    spec = find_spec("timm")
    if spec is None or spec.submodule_search_locations is None:
        raise ModuleNotFoundError("timm is not installed", name="timm")
    folders = spec.submodule_search_locations
    files = sorted(file for folder in folders for file in Path(folder, "models").rglob("*.py"))
    return sorted({name for file in files for name in _REGISTERED.findall(file.read_text(encoding="utf-8"))})
