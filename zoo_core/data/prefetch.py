"""Batches of the host that are copied to an accelerator while it computes.

A batch is put into page-locked memory and copied on a stream of its own, so that neither the host nor the step before
it waits for the copy.
"""

from __future__ import annotations

import copy
import queue
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from zoo_core.dataset import Batch

_DEPTH = 2  # batches that are ready before the step needs them: one in the queue, and one that waits to be put there


def pins(device: torch.device) -> bool:
    """Whether the device copies from page-locked memory while it computes."""
    return device.type not in ("cpu", "mps")


class Sent(NamedTuple):
    """A batch on its way to the device, and what happens there when it has arrived."""

    batch: Batch
    arrived: torch.Event | None


class Transfer:
    """Copies batches to ``device``; on the CPU and on mps, batches stay on the host."""

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self._stream = torch.Stream(device=device) if pins(device) else None

    def start(self, batch: Batch) -> Sent:
        """Start to copy a batch. May be called in another thread than :meth:`finish`."""
        if self._stream is None:
            return Sent(batch, None)
        with self._stream:
            sent = _each_tensor(batch, lambda tensor: tensor.pin_memory().to(self.device, non_blocking=True))
            return Sent(sent, self._stream.record_event())

    def finish(self, sent: Sent) -> Batch:
        """The batch on the device. Operations that are queued after this call wait for the copy; the host does not."""
        if sent.arrived is not None:
            current = torch.accelerator.current_stream(self.device)
            current.wait_event(sent.arrived)
            for value in sent.batch.values():
                if isinstance(value, Tensor):
                    value.record_stream(current)  # its memory is that of the other stream
        return sent.batch


def _each_tensor(batch: Batch, convert: Callable[[Tensor], Tensor]) -> Batch:
    converted = copy.copy(batch)
    converted.update({name: convert(value) for name, value in batch.items() if isinstance(value, Tensor)})
    return converted


class Ahead:
    """Takes batches from an iterator in a thread and sends them to the device, ahead of the step that needs them.

    Ended by :meth:`close`, after which ``closed`` is true: the iterator has to look at it while it waits.
    """

    def __init__(self, transfer: Transfer) -> None:
        self.transfer, self.closed = transfer, False
        self._queue: queue.Queue[Sent | _Raised | None] = queue.Queue(_DEPTH - 1)
        self._thread: threading.Thread | None = None

    def __call__(self, batches: Iterator[Batch]) -> Iterator[Batch]:
        """The batches on the device. An error of the iterator is raised here, after the batches before it."""
        self._thread = threading.Thread(target=self._run, args=(batches,), name="zoo-prefetch", daemon=True)
        self._thread.start()
        while (item := self._queue.get()) is not None:
            if isinstance(item, _Raised):
                raise item.error
            yield self.transfer.finish(item)

    def close(self) -> None:
        """End the thread."""
        self.closed = True
        if self._thread is not None:
            self._thread.join()

    def _run(self, batches: Iterator[Batch]) -> None:
        try:
            if self.transfer.device.index is not None:  # the current device is that of a thread
                torch.accelerator.set_device_index(self.transfer.device)
            for batch in batches:
                if not self._put(self.transfer.start(batch)):
                    return
            self._put(None)
        except BaseException as error:
            self._put(_Raised(error))

    def _put(self, item: Sent | _Raised | None) -> bool:
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
