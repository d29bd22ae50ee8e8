"""Which checkpoints are kept: the newest whole ones of the run, and those that are protected."""

from __future__ import annotations

import os
import shutil
import warnings
from collections.abc import Collection
from pathlib import Path

from zoo_core.checkpoint.integrity import read_verified
from zoo_core.checkpoint.names import name_of, steps_in
from zoo_core.files import set_aside


class Retention:
    """Keeps the newest ``keep`` checkpoints.

    Only whole checkpoints count, and only folders with the name of a checkpoint are deleted. A checkpoint is read again
    only if one of its files has changed since it was written or verified.
    """

    def __init__(self, keep: int) -> None:
        self.keep = keep
        self._verified: dict[Path, frozenset[tuple[object, ...]]] = {}

    def make_way(self, path: Path) -> None:
        """Delete the checkpoint that a new one of its step replaces; anything else of this name is renamed."""
        if self._is_whole(path):
            _delete(path)
        elif os.path.lexists(path):
            kept = set_aside(path)
            warnings.warn(f"{path} is not a complete checkpoint; it is kept as {kept.name}.", stacklevel=2)

    def written(self, path: Path, step: int, protected: Collection[int] = ()) -> None:
        """Delete the checkpoints that the new one of ``step`` makes superfluous.

        These are all of earlier steps, except the ``protected`` and the newest whole ones. A damaged one stays until
        there are enough newer ones. Those of later steps, which can only have been put there by the user, are neither
        counted nor deleted.
        """
        self._verified[path] = _stamp(path)
        whole = 1
        for earlier in sorted({one for one in steps_in(path.parent) if one < step} - set(protected), reverse=True):
            old = path.parent / name_of(earlier)
            if whole == self.keep:
                _delete(old)
                self._verified.pop(old, None)
            elif self._is_whole(old):
                whole += 1

    def _is_whole(self, path: Path) -> bool:
        try:
            stamp = _stamp(path)
            if self._verified.get(path) != stamp:
                read_verified(path)
                self._verified[path] = stamp
        except OSError:  # BadFile is one
            return False
        return True


def _stamp(path: Path) -> frozenset[tuple[object, ...]]:
    """Name, inode, size and times of each file of a checkpoint, which change if a file does."""
    status = {file.name: file.stat() for file in path.iterdir()}
    return frozenset((name, one.st_ino, one.st_size, one.st_mtime_ns, one.st_ctime_ns) for name, one in status.items())


def _delete(path: Path) -> None:
    """Delete a checkpoint; one that can't be deleted now is deleted after the next save."""
    if path.is_symlink():
        path.unlink(missing_ok=True)
    else:
        shutil.rmtree(path, ignore_errors=True)
