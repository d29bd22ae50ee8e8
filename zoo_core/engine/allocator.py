"""Settings of glibc's malloc."""

from __future__ import annotations

import ctypes
import os
import sys

_MMAP_THRESHOLD, _TRIM_THRESHOLD = -3, -1  # parameters of mallopt(3)
_MMAP_BYTES = 32 * 2**20  # the upper limit of glibc's dynamic threshold
_TRIM_BYTES = 256 * 2**20


def release_freed_memory() -> None:
    """Return freed memory to the kernel, as far as malloc is glibc's."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None) if sys.platform == "linux" else None
    if trim is not None:
        trim(0)


def keep_freed_memory() -> None:
    """Let glibc's malloc keep up to 256 MiB of freed memory for this process.

    A training step allocates what the step before has freed. By default, glibc returns much of it to the kernel, which
    then serves it again by page faults and fills each page with zeros; for convolutions this takes a tenth of a step.
    Does nothing if malloc is not glibc's, or is configured by ``MALLOC_*`` or ``GLIBC_TUNABLES`` in the environment.
    """
    configured = any(name.startswith("MALLOC_") or name == "GLIBC_TUNABLES" for name in os.environ)
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" and not configured else None
    if mallopt is not None:  # setting either one disables glibc's dynamic adjustment of both
        mallopt(_MMAP_THRESHOLD, _MMAP_BYTES)
        mallopt(_TRIM_THRESHOLD, _TRIM_BYTES)
