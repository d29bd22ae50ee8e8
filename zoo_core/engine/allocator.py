"""What glibc's malloc does with memory that was freed."""

from __future__ import annotations

import ctypes
import os
import sys

_MMAP_THRESHOLD, _TRIM_THRESHOLD = -3, -1  # names of mallopt(3)
_MAPPED_FROM = 32 * 2**20  # bytes; the most that glibc would come to by itself
_KEPT = 256 * 2**20


def keeps_freed_memory() -> None:
    """Let this process keep up to 256 MiB that it has freed, where malloc is glibc's.

    A training step takes the memory that the step before gave back. Left alone, glibc returns much of it to Linux,
    which hands it out again page by page, each a fault and filled with zeros: for convolutions a tenth of a step.
    Nothing is changed where the environment says how malloc should be (``MALLOC_…``, ``GLIBC_TUNABLES``).
    """
    told = any(name.startswith("MALLOC_") or name == "GLIBC_TUNABLES" for name in os.environ)
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" and not told else None
    if mallopt is not None:  # either one stops glibc from choosing the other
        mallopt(_MMAP_THRESHOLD, _MAPPED_FROM)
        mallopt(_TRIM_THRESHOLD, _KEPT)
