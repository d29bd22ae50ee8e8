"""The SHA-256 of a weights file and which of its values are not finite; computed once per file and cached."""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from zoo_core.config.paths import weights_folder
from zoo_core.errors import BadFile
from zoo_core.files import held, sha256_of, stat_regular, write_atomically
from zoo_core.weights.header import read_listing


@dataclass(frozen=True)
class Checked:
    """The result of reading a file, valid while it has this status."""

    status: list[int]
    """Device, inode, size, and the times of modification and of change."""
    sha256: str
    not_finite: list[str]
    """The names of the tensors that hold NaN or infinite values."""

    @property
    def size(self) -> int:
        return self.status[2]


def check(path: Path, again: bool = False) -> Checked:
    """The SHA-256 of ``path`` and its tensors with non-finite values, cached while it is the same, unchanged file.

    With ``again`` the file is read even if the result is cached. If the cache can't be written, it is always read.

    Raises:
        BadFile: if the file does not exist, is not a regular file, or is written to meanwhile.
    """
    stat_regular(path, "Give a .safetensors file.")
    cache_file = weights_folder() / "checked" / f"{hashlib.sha256(os.fsencode(path.resolve())).hexdigest()[:32]}.json"
    known = None if again else _read_cache(cache_file)
    with held(path) as (same, status):
        if known is not None and known.status == list(status):
            return known
        found = Checked(list(status), sha256_of(same), _find_not_finite(same))
    _write_cache(cache_file, found)
    return found


def _find_not_finite(path: Path) -> list[str]:
    from safetensors import SafetensorError, safe_open

    from zoo_core.weights.matching import DTYPES
    from zoo_core.weights.values import count_not_finite

    try:
        _, tensors, _ = read_listing(path)
        with safe_open(path, framework="pt") as file:
            return [
                name
                for name, (dtype, _) in tensors.items()
                if dtype in DTYPES and count_not_finite(file.get_tensor(name))
            ]
    except (BadFile, SafetensorError):
        return []  # read_header reports what is wrong with it


def _read_cache(cache_file: Path) -> Checked | None:
    try:
        values: Any = json.loads(cache_file.read_text(encoding="utf-8"))
        checked = Checked(**values)
    except (OSError, ValueError, TypeError, RecursionError):
        return None
    return checked if isinstance(checked.not_finite, list) and isinstance(checked.status, list) else None


def _write_cache(cache_file: Path, found: Checked) -> None:
    try:
        cache_file.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(cache_file, json.dumps(asdict(found)))
    except OSError:
        return
