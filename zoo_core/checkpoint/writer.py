"""Write checkpoints in the background: training waits for a copy in memory, not for the disk."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

import psutil
from torch import Tensor

from zoo_core.checkpoint import directory as checkpoint
from zoo_core.checkpoint.retention import Retention
from zoo_core.checkpoint.serialize import Packed
from zoo_core.errors import BadFile


@dataclass(frozen=True)
class SaveResult:
    """The result of writing a checkpoint: its folder, or the error."""

    step: int
    path: Path | None = None
    error: BadFile | None = None


class AsyncCheckpointWriter:
    """Writes one checkpoint at a time into ``folder`` in a background thread; a context manager that waits at its end.

    ``keep`` is the number of checkpoints to keep. The files ``sync_first``, such as the metrics until then, are on the
    disk before a checkpoint is.
    """

    def __init__(self, folder: Path, keep: int, sync_first: Collection[Path] = ()) -> None:
        self.folder, self.sync_first = folder, sync_first
        self._retention = Retention(keep)
        self._thread: ThreadPoolExecutor | None = None
        self._writing: tuple[int, Future[Path]] | None = None

    def __enter__(self) -> AsyncCheckpointWriter:
        self._thread = ThreadPoolExecutor(1, "zoo-checkpoint")
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._thread is not None:
            self._thread.shutdown()

    def begin(self, step: int, state: Mapping[str, Packed], protected: Collection[int] = ()) -> None:
        """Copy ``state`` and start to write it; without memory for a copy, write it before returning.

        Checkpoints of the ``protected`` steps are not deleted. Call :meth:`wait` before the next call.
        """
        assert self._writing is None  # noqa: S101  # call wait() first
        copy = _copy_to_cpu(state) if _fits_in_memory(state) else None
        rest = (self._retention, protected, self.sync_first)
        if self._thread is not None and copy is not None:
            future = self._thread.submit(checkpoint.save, self.folder, step, copy, *rest)
        else:
            future = Future()
            try:
                future.set_result(checkpoint.save(self.folder, step, state, *rest))
            except BadFile as error:
                future.set_exception(error)
        self._writing = (step, future)

    @property
    def done(self) -> bool:
        """Whether writing has finished or failed, and :meth:`wait` has not been called since."""
        return self._writing is not None and self._writing[1].done()

    def wait(self) -> SaveResult | None:
        """Wait for the checkpoint that is being written, and return its result; None if there is none."""
        if self._writing is None:
            return None
        (step, future), self._writing = self._writing, None
        try:
            return SaveResult(step, path=future.result())
        except BadFile as error:
            return SaveResult(step, error=error)


def _copy_to_cpu(state: Mapping[str, Packed]) -> dict[str, Packed]:
    """A copy of ``state`` on the CPU, since training continues to modify the tensors."""
    return {
        name: ({key: tensor.to("cpu", copy=True) for key, tensor in tensors.items()}, structure)
        for name, (tensors, structure) in state.items()
    }


def _fits_in_memory(state: Mapping[str, Packed]) -> bool:
    """Whether a copy of ``state`` needs at most half of the available memory."""
    tensors: list[Tensor] = [tensor for part, _ in state.values() for tensor in part.values()]
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors) < psutil.virtual_memory().available // 2
