"""Harmless and malicious pickles, for tests that they are refused or converted."""

from __future__ import annotations

import os
import pickle  # noqa: TID251
from pathlib import Path
from typing import Any

import torch


class Touches:
    """Its pickle creates a file when it is loaded."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, (f"touch {self.path}",)


def save(value: object, path: Any, archive: bool = True) -> None:
    """Write with ``torch.save``, in its archive format or its legacy format."""
    torch.save(value, path, _use_new_zipfile_serialization=archive)  # noqa: TID251


def save_plain(value: object, path: Path) -> None:
    path.write_bytes(pickle.dumps(value))


def read_trustingly(path: Path) -> None:
    """Unpickle without restrictions."""
    torch.load(path, weights_only=False)  # noqa: TID251
