"""Clips that can only be decoded from their start, decoded once into arrays in ``ZOO_HOME/cache``.

A GIF stores the differences between its frames, so that a frame in the middle needs all before it; so do animated PNG
and WebP files, and an archive that is compressed. Windows of a long clip are read from the array, which is mapped into
memory.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from zoo_core.config.paths import zoo_home
from zoo_core.files import replacing
from zoo_core.fingerprint.per_file import Identity

LIMIT = 8 * 2**30  # bytes of all of them
SMALL = 8 * 2**20  # bytes that are decoded again each time
_DAY = 24 * 3600.0


def decoded(path: Path, form: str, size: Callable[[], int], write: Callable[[Path], None]) -> Any | None:
    """The memory-mapped array of a clip, which ``write`` writes as an ``.npy`` file if there is none yet.

    ``form`` names what is written, and ``size`` tells its bytes. None if it is small, or if there is no room for it.
    """
    identity = Identity.of(path)
    key = f"{os.path.abspath(path)}\0{identity}\0{form}"
    array = zoo_home() / "cache" / "clips" / f"{hashlib.sha256(os.fsencode(key)).hexdigest()[:32]}.npy"
    try:
        if not array.is_file():
            needed = size()
            if needed <= SMALL:
                return None
            array.parent.mkdir(parents=True, exist_ok=True)
            if not _has_room(array.parent, needed):
                return None
            with replacing(array) as temporary:
                write(temporary)
        elif time.time() - array.stat().st_mtime > _DAY / 2:
            os.utime(array)
        return np.load(array, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError):  # no disk space, a read-only home, or a file that is damaged: it is decoded again
        with suppress(OSError):
            array.unlink(missing_ok=True)
        return None


def _has_room(folder: Path, size: int) -> bool:
    """Whether ``size`` bytes fit into the limit and half of the disk; arrays that were not used for a day make room."""
    if size > shutil.disk_usage(folder).free // 2:
        return False
    arrays = []
    for entry in folder.iterdir():
        with suppress(OSError):  # another process has deleted it
            status = entry.stat()
            arrays.append((status.st_mtime, status.st_size, entry))
    used = sum(one[1] for one in arrays)
    for modified, bytes_, entry in sorted(arrays):
        if used + size <= LIMIT or time.time() - modified < _DAY:
            break
        entry.unlink(missing_ok=True)
        used -= bytes_
    return used + size <= LIMIT
