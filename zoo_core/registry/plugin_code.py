"""What identifies the code of a plugin, so that a resumed run notices that it has changed."""

from __future__ import annotations

import hashlib
import json
import sys
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from zoo_core.registry.plugins import PluginInfo


def plugin_code(info: PluginInfo) -> str:
    """``"zoo-kit 1.2"``: the distribution and its version.

    A plugin file has no version, and the version of an editable install stays the same when its files change. For both
    the result contains the SHA-256 of the Python files.
    """
    if info.target.endswith(".py"):
        return f"{info.distribution}, sha256 {_hash([Path(info.target), *_imported_beside(Path(info.target))])}"
    version = f"{info.distribution} {info.version}".strip()
    return f"{version}, sha256 {_hash(_files(info.target))}" if _is_editable(info.distribution) else version


def _imported_beside(plugin: Path) -> list[Path]:
    """The files of modules that were imported from the folder of a plugin file, such as helpers that it imports."""
    folder, found = plugin.resolve().parent, []
    for name, module in list(sys.modules.items()):
        file = getattr(module, "__file__", None)
        if name.partition(".")[0] in ("zoo_core", "zoo_plugins") or not (file and Path(file).is_absolute()):
            continue
        path = Path(file).resolve()
        inside = path.parent == folder or path.parent.parent == folder
        if path.suffix == ".py" and inside and path != plugin.resolve() and path.is_file():
            found.append(path)
    return sorted(set(found))


def _is_editable(name: str) -> bool:
    """Whether the distribution is installed in editable mode (PEP 660), according to its ``direct_url.json``."""
    try:
        text = distribution(name).read_text("direct_url.json")
    except PackageNotFoundError:
        return False
    return bool(text and json.loads(text).get("dir_info", {}).get("editable"))


def _files(target: str) -> list[Path]:
    """The Python files of the top-level package, or of the module, that an entry point belongs to."""
    module = sys.modules.get(target.partition(":")[0].partition(".")[0])
    folders = [Path(folder) for folder in getattr(module, "__path__", ())]
    if folders:
        return sorted(path for folder in folders for path in folder.rglob("*.py"))
    file = getattr(module, "__file__", None)
    return [Path(file)] if file else []


def _hash(files: list[Path]) -> str:
    digest = hashlib.sha256()
    for path in files:
        content = path.read_bytes()
        digest.update(f"{path.name} {len(content)}\n".encode())
        digest.update(content)
    return digest.hexdigest()
