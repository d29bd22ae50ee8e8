"""Which files have the same content."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

_PREFIX = 1 << 16


def same_content(files: Sequence[Path]) -> list[list[int]]:
    """The indices of ``files``, those of one content together; by the first index of each group.

    Only files of one size are read, and only those with the same beginning as a whole.
    """
    groups = [list(range(len(files)))]
    for key in (_size, _hash_of_beginning, _hash):
        groups = [part for group in groups for part in _divided(group, files, key)]
    return sorted(groups)


def _divided(group: list[int], files: Sequence[Path], key: Callable[[Path], Any]) -> list[list[int]]:
    if len(group) == 1:
        return [group]
    parts: dict[Any, list[int]] = {}
    for index in group:
        parts.setdefault(key(files[index]), []).append(index)
    return list(parts.values())


def _size(file: Path) -> int:
    return file.stat().st_size


def _hash_of_beginning(file: Path) -> bytes:
    with file.open("rb") as content:
        return hashlib.sha256(content.read(_PREFIX)).digest()


def _hash(file: Path) -> bytes:
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").digest()
