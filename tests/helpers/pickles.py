"""What strangers still send: pickles, good and bad, for tests that they are refused or converted."""

from __future__ import annotations

import os
import pickle  # noqa: TID251
from pathlib import Path
from typing import Any

import torch


class Touches:
    """A pickle of it makes a file as it is read."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, (f"touch {self.path}",)


def save(value: object, path: Any, archive: bool = True) -> None:
    """As ``torch.save`` does, or did."""
    torch.save(value, path, _use_new_zipfile_serialization=archive)  # noqa: TID251


def save_plain(value: object, path: Path) -> None:
    path.write_bytes(pickle.dumps(value))


def read_trustingly(path: Path) -> None:
    """As scripts do that know no better."""
    torch.load(path, weights_only=False)  # noqa: TID251
