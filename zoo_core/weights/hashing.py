"""What a file's bytes are: its SHA-256, and whether every number in it is finite. Read once, then remembered."""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zoo_core.config.paths import weights_folder
from zoo_core.errors import BadFile
from zoo_core.files import sha256_of, write_atomically
from zoo_core.weights.header import read_listing, refuse_irregular

if TYPE_CHECKING:
    from torch import Tensor

_FLOATS = {"F64", "F32", "F16", "BF16", "F8_E4M3", "F8_E5M2", "C64"}  # no model holds other kinds that can be NaN
_PIECE = 2**20  # numbers that are looked at together, so that a large tensor takes no memory of its size


@dataclass(frozen=True)
class Checked:
    """What was seen of a file as it had this size and these times."""

    size: int
    modified: int
    changed: int
    sha256: str
    spoilt: str = ""
    """The name of a tensor that holds NaN or infinity, if there is one."""


def check(path: Path, again: bool = False) -> Checked:
    """The checksum of ``path``, from memory if the file was seen before and has not changed since.

    With ``again`` it is read whatever is remembered. Where nothing can be remembered (a home that can't be written),
    it is read every time.

    Raises:
        BadFile: if it is no regular file, or does not exist.
    """
    refuse_irregular(path)
    status = path.stat()
    note = weights_folder() / "checked" / f"{hashlib.sha256(os.fsencode(path.resolve())).hexdigest()[:32]}.json"
    now = (status.st_size, status.st_mtime_ns, status.st_ctime_ns)
    known = None if again else _remembered(note)
    if known is not None and (known.size, known.modified, known.changed) == now:
        return known
    found = Checked(*now, sha256_of(path), _spoilt(path))
    _remember(note, found)
    return found


def _spoilt(path: Path) -> str:
    from safetensors import SafetensorError, safe_open

    try:
        _, tensors = read_listing(path)
        with safe_open(path, framework="pt") as file:
            for name, (dtype, _) in tensors.items():
                if dtype in _FLOATS and not is_finite(file.get_tensor(name)):
                    return name
    except (BadFile, SafetensorError):
        return ""  # whoever reads it says what is wrong with it
    return ""


def is_finite(tensor: Tensor) -> bool:
    """Whether it holds neither NaN nor infinity."""
    flat = tensor.flatten()
    pieces = (flat[start : start + _PIECE] for start in range(0, len(flat), _PIECE))
    # Types of eight bits lack the comparison.
    return all(bool((piece.float() if piece.itemsize == 1 else piece).isfinite().all()) for piece in pieces)


def _remembered(note: Path) -> Checked | None:
    try:
        held: Any = json.loads(note.read_text(encoding="utf-8"))
        return Checked(**held)
    except (OSError, ValueError, TypeError):
        return None


def _remember(note: Path, found: Checked) -> None:
    try:
        note.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(note, json.dumps(asdict(found)))
    except OSError:
        return
