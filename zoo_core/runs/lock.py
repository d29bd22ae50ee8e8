"""Whether a process holds a run's folder."""

from __future__ import annotations

from pathlib import Path

_LOCKS = Path("/proc/locks")


def held(lock: Path) -> bool:
    """Whether a process on this machine holds the file ``lock``.

    Where the kernel lists its locks they are read there, since taking one, however briefly, could refuse a run that
    begins at that moment. Elsewhere it is tried.
    """
    try:
        inode = lock.stat().st_ino
    except OSError:
        return False
    try:
        lines = _LOCKS.read_text(encoding="ascii").splitlines()
    except OSError:
        return _taken(lock)
    return any(f":{inode} " in line for line in lines)


def _taken(lock: Path) -> bool:
    from filelock import FileLock, Timeout

    try:
        with FileLock(lock, timeout=0):
            return False
    except Timeout:
        return True
    except OSError:
        return False
