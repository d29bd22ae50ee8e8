"""Checkpoints written beside the training: a step waits for the copy in memory, not for the disk."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

import psutil
from torch import Tensor

from zoo_core.checkpoint import directory as checkpoint
from zoo_core.checkpoint.serialize import Packed
from zoo_core.errors import BadFile


@dataclass(frozen=True)
class Saved:
    """How the writing of a checkpoint went: its folder, or what is wrong."""

    step: int
    path: Path | None = None
    error: BadFile | None = None


class AsyncCheckpointWriter:
    """Writes one checkpoint at a time into ``folder``, in a thread of its own; leaving the block waits for it."""

    def __init__(self, folder: Path, keep: int) -> None:
        self.folder, self.keep = folder, keep
        self._thread: ThreadPoolExecutor | None = None
        self._writing: tuple[int, Future[Path]] | None = None

    def __enter__(self) -> AsyncCheckpointWriter:
        self._thread = ThreadPoolExecutor(1, "zoo-checkpoint")
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._thread is not None:
            self._thread.shutdown()

    def begin(self, step: int, captured: Mapping[str, Packed], spared: Collection[int] = ()) -> None:
        """Copy what was captured and write it. Where memory has no room for a copy, it is written before this returns.

        ``spared`` are steps whose checkpoints stay, however old. The one before should be :meth:`settled` first.
        """
        assert self._writing is None  # noqa: S101  # one at a time
        copied = _copied(captured) if _has_room_for(captured) else None
        if self._thread is not None and copied is not None:
            written = self._thread.submit(checkpoint.save, self.folder, step, copied, self.keep, spared)
        else:
            written = Future()
            try:
                written.set_result(checkpoint.save(self.folder, step, captured, self.keep, spared))
            except BadFile as error:
                written.set_exception(error)
        self._writing = (step, written)

    @property
    def done(self) -> bool:
        """Whether there is one that has been written, or could not be, and was not settled."""
        return self._writing is not None and self._writing[1].done()

    def settled(self) -> Saved | None:
        """Wait for the one that is being written, if there is one, and say how it went."""
        if self._writing is None:
            return None
        (step, written), self._writing = self._writing, None
        try:
            return Saved(step, path=written.result())
        except BadFile as error:
            return Saved(step, error=error)


def _copied(captured: Mapping[str, Packed]) -> dict[str, Packed]:
    """The same, in tensors of its own on the CPU: the training goes on to change those it was captured from."""
    return {
        name: ({key: tensor.to("cpu", copy=True) for key, tensor in tensors.items()}, structure)
        for name, (tensors, structure) in captured.items()
    }


def _has_room_for(captured: Mapping[str, Packed]) -> bool:
    """Half of the memory that is free is left to whatever else the training needs."""
    tensors: list[Tensor] = [tensor for part, _ in captured.values() for tensor in part.values()]
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors) < psutil.virtual_memory().available // 2
