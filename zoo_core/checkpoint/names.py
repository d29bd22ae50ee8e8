"""The names of checkpoints, such as ``step-000001000``, and what else lies in their folder."""

from __future__ import annotations

import re
from pathlib import Path

from zoo_core.errors import BadFile
from zoo_core.files import DAMAGED

_NAME = re.compile(r"step-([0-9]{9,})")


def name_of(step: int) -> str:
    """The name of the checkpoint of a step."""
    return f"step-{step:09d}"


def steps_in(folder: Path) -> list[int]:
    """The steps of the checkpoints in the folder, damaged or not, in ascending order.

    Raises:
        BadFile: if the folder exists, but can't be read.
    """
    names = [_NAME.fullmatch(path.name) for path in _entries(folder) if path.is_dir()]
    return sorted(int(name[1]) for name in names if name and name[0] == name_of(int(name[1])))


def others_in(folder: Path) -> list[str]:
    """The names of what is neither a checkpoint nor was set aside by zoo, such as ``step-12 copy``.

    It is never read, counted or deleted.
    """
    own = {name_of(step) for step in steps_in(folder)}
    names = {path.name for path in _entries(folder)}
    return sorted(name for name in names - own if not name.startswith(".") and DAMAGED not in name)


def _entries(folder: Path) -> list[Path]:
    try:
        return list(folder.iterdir())
    except FileNotFoundError:
        if folder.is_symlink():
            raise BadFile(f"{folder} is a link to {folder.readlink()}, which does not exist.") from None
        return []
    except OSError as error:
        raise BadFile(f"{folder} can't be read: {error.strerror}.") from error
