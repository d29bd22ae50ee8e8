"""The SHA-256 of a weights file and whether its values are finite; computed once per file and cached."""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zoo_core.config.paths import weights_folder
from zoo_core.errors import BadFile
from zoo_core.files import refuse_irregular, sha256_of, write_atomically
from zoo_core.weights.header import read_listing

if TYPE_CHECKING:
    from torch import Tensor

_FLOATS = {"F64", "F32", "F16", "BF16", "F8_E4M3", "F8_E5M2", "C64"}  # the types of models that can be NaN or infinite
_CHUNK = 2**20  # elements checked at once, so that a large tensor needs little extra memory


@dataclass(frozen=True)
class Checked:
    """The result of reading a file, valid while it has this size and these times of modification and change."""

    size: int
    modified: int
    changed: int
    sha256: str
    not_finite: str = ""
    """The name of the first tensor that holds NaN or infinite values; empty if there is none."""


def check(path: Path, again: bool = False) -> Checked:
    """The SHA-256 of ``path`` and the first tensor with non-finite values, cached while the file is unchanged.

    With ``again`` the file is read even if the result is cached. If the cache can't be written, it is always read.

    Raises:
        BadFile: if the file does not exist or is not a regular file.
    """
    refuse_irregular(path, "Give a .safetensors file.")
    status = path.stat()
    cache_file = weights_folder() / "checked" / f"{hashlib.sha256(os.fsencode(path.resolve())).hexdigest()[:32]}.json"
    now = (status.st_size, status.st_mtime_ns, status.st_ctime_ns)
    known = None if again else _read_cache(cache_file)
    if known is not None and (known.size, known.modified, known.changed) == now:
        return known
    found = Checked(*now, sha256_of(path), _find_not_finite(path))
    _write_cache(cache_file, found)
    return found


def _find_not_finite(path: Path) -> str:
    from safetensors import SafetensorError, safe_open

    try:
        _, tensors = read_listing(path)
        with safe_open(path, framework="pt") as file:
            for name, (dtype, _) in tensors.items():
                if dtype in _FLOATS and not is_finite(file.get_tensor(name)):
                    return name
    except (BadFile, SafetensorError):
        return ""  # read_header reports what is wrong with it
    return ""


def is_finite(tensor: Tensor) -> bool:
    """Whether all values of the tensor are finite."""
    flat = tensor.flatten()
    chunks = (flat[start : start + _CHUNK] for start in range(0, len(flat), _CHUNK))
    # isfinite is not implemented for 8-bit types.
    return all(bool((chunk.float() if chunk.itemsize == 1 else chunk).isfinite().all()) for chunk in chunks)


def _read_cache(cache_file: Path) -> Checked | None:
    try:
        values: Any = json.loads(cache_file.read_text(encoding="utf-8"))
        return Checked(**values)
    except (OSError, ValueError, TypeError):
        return None


def _write_cache(cache_file: Path, found: Checked) -> None:
    try:
        cache_file.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(cache_file, json.dumps(asdict(found)))
    except OSError:
        return
