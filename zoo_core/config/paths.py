"""The folders that zoo uses on this machine: its home, the data root and downloaded weights."""

from __future__ import annotations

import os
from pathlib import Path

import platformdirs


def zoo_home() -> Path:
    """``$ZOO_HOME``, else the platform's folder for user data."""
    return Path(os.environ.get("ZOO_HOME") or platformdirs.user_data_path("zoo"))


def data_root() -> Path:
    """The folder of datasets: ``$ZOO_DATA``, else ``data`` in :func:`zoo_home`."""
    return Path(os.environ.get("ZOO_DATA") or zoo_home() / "data")


def weights_folder() -> Path:
    """The folder of downloaded weights: ``weights`` in :func:`zoo_home`."""
    return zoo_home() / "weights"
