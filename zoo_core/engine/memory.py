"""Memory usage, and the error raised when memory runs out."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import torch

from zoo_core.data.resident import free_memory
from zoo_core.errors import RunFailed
from zoo_core.runs.run import Run

_OUT_OF_MEMORY = (
    "out of memory",
    "can't allocate memory",
    "not enough memory",
)  # accelerators; Linux and macOS; Windows

_ON_ACCELERATORS = re.compile(r"(CUDA|HIP|XPU|MPS)\b.*out of memory|_ALLOC_FAILED", re.DOTALL)


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


def reset_peak_memory(device: torch.device) -> bool:
    """Let :func:`peak_memory` forget the peak until now; False where the system can't, as on Windows and macOS."""
    if device.type != "cpu":
        torch.accelerator.reset_peak_memory_stats(device)
        return True
    try:
        Path("/proc/self/clear_refs").write_text("5")  # see proc_pid_clear_refs(5)
    except OSError:
        return False
    return True


def memory_now(device: torch.device) -> int:
    """Current memory in bytes, measured as by :func:`peak_memory`."""
    if device.type != "cpu":
        return int(torch.accelerator.memory_allocated(device))
    return int(psutil.Process().memory_info().rss)


def available_memory(device: torch.device) -> int:
    """Bytes that this process may still allocate, also by its limits (``ulimit``) and those of its control groups."""
    free = free_memory(device)
    return min([free, *_left_by_limits(), *_left_by_control_groups()]) if device.type == "cpu" else free


def is_out_of_memory(error: BaseException, device: torch.device) -> bool:
    """Whether ``error``, or what caused it, is that the memory of ``device`` ran out, and not that of another."""
    if error.__cause__ is not None and is_out_of_memory(error.__cause__, device):
        return True
    if device.type == "cpu":
        known = isinstance(error, RuntimeError) and any(words in str(error).lower() for words in _OUT_OF_MEMORY[1:])
        return known or isinstance(error, MemoryError)
    known = isinstance(error, RuntimeError) and bool(_ON_ACCELERATORS.search(str(error)))
    return known or isinstance(error, torch.OutOfMemoryError)


def _left_by_limits() -> Iterator[int]:
    """Bytes that the limits of this process leave it: ``ulimit -v`` and, on Linux, ``ulimit -d``."""
    if sys.platform == "win32":
        return
    import resource  # not available on Windows

    used = psutil.Process().memory_info()
    for kind, size in ((resource.RLIMIT_AS, used.vms), (resource.RLIMIT_DATA, getattr(used, "data", None))):
        limit = resource.getrlimit(kind)[0]
        if limit != resource.RLIM_INFINITY and size is not None:
            yield max(0, limit - size)


def _left_by_control_groups() -> Iterator[int]:
    """Bytes that each control group of this process may still allocate: version 2, then version 1."""
    try:
        paths = [line.split(":", 2) for line in Path("/proc/self/cgroup").read_text().splitlines()]
    except OSError:  # not Linux
        return
    for _, controllers, path in paths:
        if controllers not in ("", "memory"):
            continue
        root = Path("/sys/fs/cgroup", controllers)
        names = ("memory.limit_in_bytes", "memory.usage_in_bytes") if controllers else ("memory.max", "memory.current")
        folder = root / path.strip("/")
        for one in (folder, *folder.parents):
            if one.is_relative_to(root) and (left := _left_in(one, *names)) is not None:
                yield left


def _left_in(folder: Path, limit: str, usage: str) -> int | None:
    """The limit of a control group without what it uses; None if it has no limit. Cached files are given back."""
    try:
        allowed, used = int((folder / limit).read_text()), int((folder / usage).read_text())
        lines = (line.split() for line in (folder / "memory.stat").read_text().splitlines())
        return max(0, allowed - used + int(dict(lines).get("inactive_file", 0)))
    except (OSError, ValueError):  # there is no such file, or it says "max"
        return None


def _is_out_of_memory(error: Exception) -> bool:
    if isinstance(error, (torch.OutOfMemoryError, MemoryError)):
        return True
    return any(words in str(error).lower() for words in _OUT_OF_MEMORY)


def _reason(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
