"""Memory: how much is taken, and, where it runs out, what to lower."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

import psutil
import torch

from zoo_core.errors import RunFailed
from zoo_core.runs.run import Run

_FULL = ("out of memory", "can't allocate memory", "not enough memory")  # accelerators; Linux and macOS; Windows


@contextmanager
def explain_out_of_memory(run: Run) -> Iterator[None]:
    """Inside, memory that runs out ends the run.

    Raises:
        RunFailed: in place of what PyTorch raises; names the step, and the settings by which less is needed.
    """
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        if not _is_full(error):
            raise
        lower = f"Lower run.batch_size (it is {run.settings.batch_size}) or the size of the pictures"
        # A model may offer to compute again what it would keep for the backward pass, by a setting of this name.
        if getattr(run.model.config, "checkpointing", None) is False:
            lower += ", or set model.checkpointing=true"
        problem = f"the memory of {run.device} ran out after step {run.step}: {_reason(error)}"
        raise RunFailed(problem, f"{lower}.") from error


def peak_memory(device: torch.device) -> int:
    """The most memory until now, in bytes: what PyTorch held of an accelerator, else this process's."""
    if device.type != "cpu":
        return int(torch.accelerator.max_memory_allocated(device))
    process = psutil.Process()
    if sys.platform == "win32":
        return int(process.memory_info().peak_wset)
    import resource  # Windows has none

    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else 1024 * most  # macOS counts bytes, others KiB


def memory_now(device: torch.device) -> int:
    """The memory that is taken at this moment, in bytes: as :func:`peak_memory` counts it."""
    if device.type != "cpu":
        return int(torch.accelerator.memory_allocated(device))
    return int(psutil.Process().memory_info().rss)


def _is_full(error: Exception) -> bool:
    if isinstance(error, (torch.OutOfMemoryError, MemoryError)):
        return True
    return any(words in str(error).lower() for words in _FULL)


def _reason(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
