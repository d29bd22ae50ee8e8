"""Where a data set's files lie."""

from __future__ import annotations

from pathlib import Path

import zoo_core as zoo


def data_root(setting: str | None) -> Path:
    """The folder that the setting ``root`` names, or the user's data root."""
    return Path(setting).expanduser() if setting else zoo.data_root()
