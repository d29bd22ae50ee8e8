"""Whether a process holds a lock file."""

from __future__ import annotations

from pathlib import Path

_LOCKS = Path("/proc/locks")


def is_held(lock: Path) -> bool:
    """Whether a process on this machine holds the lock file ``lock``.

    On Linux this reads the kernel's list of locks. Acquiring the lock, however briefly, could make a run fail that
    starts at the same moment; that is only done on systems without such a list.
    """
    try:
        inode = lock.stat().st_ino
    except OSError:
        return False
    try:
        lines = _LOCKS.read_text(encoding="ascii").splitlines()
    except OSError:
        return not _can_acquire(lock)
    return any(f":{inode} " in line for line in lines)


def _can_acquire(lock: Path) -> bool:
    from filelock import FileLock, Timeout

    try:
        with FileLock(lock, timeout=0):
            return True
    except Timeout:
        return False
    except OSError:
        return True
