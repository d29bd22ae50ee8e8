"""Memory usage, and the error raised when memory runs out."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

import psutil
import torch

from zoo_core.errors import RunFailed
from zoo_core.runs.run import Run

_OUT_OF_MEMORY = (
    "out of memory",
    "can't allocate memory",
    "not enough memory",
)  # accelerators; Linux and macOS; Windows


@contextmanager
def explain_out_of_memory(run: Run) -> Iterator[None]:
    """Context in which out-of-memory errors become errors that name the settings to lower.

    Raises:
        RunFailed: in place of the out-of-memory error; names the step and the settings that reduce memory usage.
    """
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        if not _is_out_of_memory(error):
            raise
        hint = f"Lower run.batch_size (it is {run.settings.batch_size}) or the image size"
        # By convention, the setting of models that support activation checkpointing.
        if getattr(run.model.config, "checkpointing", None) is False:
            hint += ", or set model.checkpointing=true"
        message = f"out of memory on {run.device} after step {run.step}: {_reason(error)}"
        raise RunFailed(message, f"{hint}.") from error


def peak_memory(device: torch.device) -> int:
    """Peak memory in bytes: allocated by PyTorch on an accelerator, or the resident set size of this process."""
    if device.type != "cpu":
        return int(torch.accelerator.max_memory_allocated(device))
    process = psutil.Process()
    if sys.platform == "win32":
        return int(process.memory_info().peak_wset)
    import resource  # not available on Windows

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else 1024 * peak  # bytes on macOS, KiB elsewhere


def memory_now(device: torch.device) -> int:
    """Current memory in bytes, measured as by :func:`peak_memory`."""
    if device.type != "cpu":
        return int(torch.accelerator.memory_allocated(device))
    return int(psutil.Process().memory_info().rss)


def _is_out_of_memory(error: Exception) -> bool:
    if isinstance(error, (torch.OutOfMemoryError, MemoryError)):
        return True
    return any(words in str(error).lower() for words in _OUT_OF_MEMORY)


def _reason(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
