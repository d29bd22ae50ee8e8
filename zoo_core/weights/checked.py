"""What a file's bytes are: its SHA-256, and whether every number in it is finite. Read once, then remembered."""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from zoo_core.folder import weights_folder


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
    """
    status = path.stat()
    note = weights_folder() / "checked" / f"{hashlib.sha256(os.fsencode(path.resolve())).hexdigest()[:32]}.json"
    now = (status.st_size, status.st_mtime_ns, status.st_ctime_ns)
    known = None if again else _remembered(note)
    if known is not None and (known.size, known.modified, known.changed) == now:
        return known
    with path.open("rb") as file:
        found = Checked(*now, hashlib.file_digest(file, "sha256").hexdigest(), _spoilt(path))
    _remember(note, found)
    return found


def _spoilt(path: Path) -> str:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt") as file:
            names: list[str] = file.keys()
            for name in names:
                tensor = file.get_tensor(name)
                if tensor.is_floating_point() and not tensor.isfinite().all():
                    return name
    except SafetensorError:
        return ""  # whoever reads it says what is wrong with it
    return ""


def _remembered(note: Path) -> Checked | None:
    try:
        held: Any = json.loads(note.read_text(encoding="utf-8"))
        return Checked(**held)
    except (OSError, ValueError, TypeError):
        return None


def _remember(note: Path, found: Checked) -> None:
    aside = note.with_suffix(f".{os.getpid()}")
    try:
        note.parent.mkdir(parents=True, exist_ok=True)
        aside.write_text(json.dumps(asdict(found)), encoding="utf-8")
        aside.replace(note)
    except OSError:
        return
