"""Batches from one process to another: tensors in shared memory, whose file descriptors travel with the message.

By itself multiprocessing leaves the descriptors with the sender until the receiver fetches them, and waits forever if
the sender is killed meanwhile, or does not answer because a library keeps it busy.
"""

from __future__ import annotations

import errno
import os
import socket
import threading
from multiprocessing.connection import Connection
from multiprocessing.context import set_spawning_popen
from multiprocessing.reduction import ForkingPickler
from typing import Any

_MOST = 200  # descriptors in one message; Linux allows 253


def send(connection: Connection, value: Any) -> None:
    """Send ``value``. The receiver needs nothing more from this process."""
    descriptors: Any = _Descriptors()
    set_spawning_popen(descriptors)  # multiprocessing.reduction.DupFd asks it what to do with a descriptor
    try:
        data = ForkingPickler.dumps(value)
    finally:
        set_spawning_popen(None)
    numbers = descriptors.numbers
    connection.send_bytes(len(numbers).to_bytes(4, "big"))
    connection.send_bytes(data)
    if numbers:
        with socket.socket(fileno=os.dup(connection.fileno())) as channel:
            for start in range(0, len(numbers), _MOST):
                socket.send_fds(channel, [b"d"], numbers[start : start + _MOST])


def receive(connection: Connection) -> Any:
    """What the other process sent.

    Raises:
        EOFError: if it has ended.
        OSError: if this process has too many open files.
    """
    count = int.from_bytes(connection.recv_bytes(), "big")
    data = connection.recv_bytes()
    received.descriptors = {}
    try:
        if count:
            with socket.socket(fileno=os.dup(connection.fileno())) as channel:
                _receive_descriptors(channel, count)
        return ForkingPickler.loads(data)
    finally:
        for descriptor in received.descriptors.values():  # those that were not taken, after an error
            os.close(descriptor)


def _receive_descriptors(channel: socket.socket, count: int) -> None:
    while (given := len(received.descriptors)) < count:
        wanted = min(_MOST, count - given)
        message, descriptors, _, _ = socket.recv_fds(channel, 1, wanted)
        received.descriptors.update(enumerate(descriptors, given))
        if not message:
            raise EOFError
        if len(descriptors) < wanted:  # the kernel leaves out those that would exceed the limit
            raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))


class _Received(threading.local):
    """The descriptors of the message that this thread unpacks, by their place in it."""

    def __init__(self) -> None:
        self.descriptors: dict[int, int] = {}


received = _Received()


class _Descriptors:
    """Collects the descriptors of a message. Has the methods of a ``Popen`` that starts a process."""

    def __init__(self) -> None:
        self.numbers: list[int] = []

    def duplicate_for_child(self, descriptor: int) -> int:
        self.numbers.append(descriptor)
        return len(self.numbers) - 1

    def DupFd(self, place: int) -> _Passed:  # the name that multiprocessing calls
        return _Passed(place)


class _Passed:
    """A descriptor in a message."""

    def __init__(self, place: int) -> None:
        self.place = place

    def detach(self) -> int:
        """The descriptor in the process that received it, which has to close it."""
        return received.descriptors.pop(self.place)
