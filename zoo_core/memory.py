"""Memory that runs out, said as what to lower."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from zoo_core.errors import RunFailed
from zoo_core.run_state import Run

_FULL = ("out of memory", "can't allocate memory", "not enough memory")  # accelerators; Linux and macOS; Windows


@contextmanager
def says_what_to_lower(run: Run) -> Iterator[None]:
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


def _is_full(error: Exception) -> bool:
    if isinstance(error, (torch.OutOfMemoryError, MemoryError)):
        return True
    return any(words in str(error).lower() for words in _FULL)


def _reason(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
