"""The folders that zoo uses on this machine: its home, the data root and downloaded weights."""

from __future__ import annotations

import os
from pathlib import Path

import platformdirs


def zoo_home() -> Path:
    """Return ``$ZOO_HOME``, or the data folder of the user on this platform."""
    return Path(os.environ.get("ZOO_HOME") or platformdirs.user_data_path("zoo"))


def data_root() -> Path:
    """Return the folder for downloaded datasets.

    It is ``$ZOO_DATA`` if that is set, else ``$ZOO_HOME/data``, else ``zoo/data`` in the data folder of the user.

    Returns
    -------
    pathlib.Path
        The folder; it may not exist yet.
    """
    return Path(os.environ.get("ZOO_DATA") or zoo_home() / "data")


def weights_folder() -> Path:
    """Return the folder for downloaded weights, ``$ZOO_HOME/weights``."""
    return zoo_home() / "weights"
