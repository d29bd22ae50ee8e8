"""The data root."""

from __future__ import annotations

from pathlib import Path

import zoo_core as zoo


def data_root(setting: str | None) -> Path:
    """The folder given by the setting ``root``, otherwise the user's data root."""
    return Path(setting).expanduser() if setting else zoo.data_root()
