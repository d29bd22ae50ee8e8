"""Batches in page-locked memory, which is copied to an accelerator while the training continues."""

from __future__ import annotations

import copy
import queue
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from zoo_core.dataset import Batch


def pins() -> bool:
    """Whether this machine has an accelerator that copies from page-locked memory."""
    accelerator = torch.accelerator.current_accelerator() if torch.accelerator.is_available() else None
    return accelerator is not None and accelerator.type != "mps"


def pin(batch: Batch) -> Batch:
    """The batch in page-locked memory."""
    pinned = copy.copy(batch)
    pinned.update({name: value.pin_memory() for name, value in batch.items() if isinstance(value, Tensor)})
    return pinned


class Ahead:
    """Takes batches from an iterator in a thread and converts them, one ahead of the training.

    Ended by :meth:`close`, after which ``closed`` is true: the iterator has to look at it while it waits.
    """

    def __init__(self, convert: Callable[[Batch], Batch]) -> None:
        self.convert, self.closed = convert, False
        self._queue: queue.Queue[Batch | _Raised | None] = queue.Queue(1)
        self._thread: threading.Thread | None = None

    def __call__(self, batches: Iterator[Batch]) -> Iterator[Batch]:
        """The converted batches. An error of the iterator is raised here."""
        self._thread = threading.Thread(target=self._run, args=(batches, _device()), name="zoo-pin", daemon=True)
        self._thread.start()
        while (item := self._queue.get()) is not None:
            if isinstance(item, _Raised):
                raise item.error
            yield item

    def close(self) -> None:
        """End the thread."""
        self.closed = True
        if self._thread is not None:
            self._thread.join()

    def _run(self, batches: Iterator[Batch], device: int | None) -> None:
        try:
            if device is not None:  # the current device is that of a thread
                torch.accelerator.set_device_index(device)
            for batch in batches:
                if not self._put(self.convert(batch)):
                    return
            self._put(None)
        except BaseException as error:
            self._put(_Raised(error))

    def _put(self, item: Batch | _Raised | None) -> bool:
        while not self.closed:
            try:
                self._queue.put(item, timeout=0.1)
            except queue.Full:
                continue
            return True
        return False


@dataclass(frozen=True)
class _Raised:
    error: BaseException


def _device() -> int | None:
    return torch.accelerator.current_device_index() if torch.accelerator.is_available() else None
