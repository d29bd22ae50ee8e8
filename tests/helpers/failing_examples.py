"""A plugin with a dataset that fails in many ways: ``zoo --plugin failing_examples.py run failing dataset.how=...``.

The model and the trainer are those of ``tiny``, which has to be importable.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch.utils.data import get_worker_info

import zoo_core as zoo


class NeedsArguments(Exception):
    """Cannot be pickled and created again from its text alone."""

    def __init__(self, first: str, second: object) -> None:
        super().__init__(first)
        self.lock = threading.Lock()


class NotAnException(BaseException):
    pass


class OwnBadFile(zoo.BadFile):
    """An error of a plugin with other parameters than zoo's."""

    def __init__(self, number: int) -> None:
        super().__init__(f"file {number} is not an image.", "Remove it.")


class FailsToSay(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no text")


def _raise(error: BaseException) -> Callable[[Points], None]:
    def fail(points: Points) -> None:
        raise error

    return fail


def _read_truncated_image(points: Points) -> None:
    path = Path(points.folder, "truncated.png")
    if not path.exists():
        Image.new("L", (64, 64)).save(path)
        path.write_bytes(path.read_bytes()[:-40])
    with Image.open(path) as image:
        image.load()


def _exhaust_files(points: Points) -> None:
    points.kept = [open(os.devnull) for _ in range(100_000)]  # noqa: SIM115  # not closed on purpose


def _sleep(points: Points) -> None:
    time.sleep(60)


def _sleep_deaf(points: Points) -> None:
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1):
        signal.signal(number, signal.SIG_IGN)
    end = time.monotonic() + 60
    while time.monotonic() < end:
        time.sleep(1)


def _fail_in_the_last_worker(points: Points) -> None:
    worker = get_worker_info()
    if worker is None or worker.id == worker.num_workers - 1:
        raise ValueError("only in one worker")


WAYS: dict[str, Callable[[Points], Any]] = {
    "value": _raise(ValueError("no height")),
    "lines": _raise(ValueError("first line\nsecond line\n\nthird line")),
    "arguments": _raise(NeedsArguments("two arguments", object())),
    "mute": _raise(FailsToSay()),
    "exception": _raise(NotAnException("of no kind")),
    "interrupt": _raise(KeyboardInterrupt()),
    "stop-iteration": _raise(StopIteration("ended")),
    "memory": _raise(MemoryError("cannot allocate 10 GiB")),
    "bad-file": _raise(zoo.BadFile("/data/7.png is not an image.", "Remove it.")),
    "own-bad-file": lambda points: (_ for _ in ()).throw(OwnBadFile(7)),
    "missing": lambda points: open(Path(points.folder, "missing.png")),  # noqa: SIM115  # it does not exist
    "truncated": _read_truncated_image,
    "open-files": _exhaust_files,
    "exit": lambda points: sys.exit(3),
    "exit-silently": lambda points: sys.exit(0),
    "hard-exit": lambda points: os._exit(3),
    "hard-exit-0": lambda points: os._exit(0),
    "killed": lambda points: os.kill(os.getpid(), signal.SIGKILL),
    "crashes": lambda points: os.kill(os.getpid(), signal.SIGSEGV),
    "bus-error": lambda points: os.kill(os.getpid(), signal.SIGBUS),
    "sleeps": _sleep,
    "sleeps-deaf": _sleep_deaf,
    "stops": lambda points: os.kill(os.getpid(), signal.SIGSTOP),
    "one-worker": _fail_in_the_last_worker,
    "large": lambda points: {"large": torch.zeros(2**24)},
    "ragged": lambda points: {"point": torch.zeros(2)},
    "other-key": lambda points: {"other": torch.zeros(2)},
    "tuple": lambda points: (1, 2),
}


class Points:
    """Points on a line; example ``at`` fails in the way ``how``."""

    def __init__(self, count: int, how: str, at: int, folder: str) -> None:
        self.count, self.how, self.at, self.folder = count, how, at, folder

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> Any:
        example = {"point": torch.full((3,), index / 50), "height": torch.tensor(index / 50)}
        if self.how and (index == self.at or self.how == "one-worker"):
            found = WAYS[self.how](self)
            if isinstance(found, dict) and "point" not in found:
                return example | found if "other" not in found else found
            if isinstance(found, dict):
                return example | found
            if isinstance(found, tuple):
                return found
        return example


class AtOnce(Points):
    """The same points, a batch at a time."""

    def __getitems__(self, indices: list[int]) -> zoo.Batch:
        examples = [self[index] for index in indices]
        return zoo.Batch({name: torch.stack([one[name] for one in examples]) for name in examples[0]})


class Failing(zoo.Dataset):
    @dataclass(frozen=True, kw_only=True)
    class Config:
        how: str = zoo.setting("", "how an example fails; empty: it does not")
        at: int = zoo.setting(7, "index of the example that fails")
        split: str = zoo.setting("train", "the split that it is in")
        folder: str = zoo.setting(".", "folder for files that cannot be read")
        at_once: bool = zoo.setting(False, "make whole batches")

    config: Config

    def fingerprint(self) -> str:
        return "0" * 16

    def train(self) -> zoo.Examples:
        return self._points(50, "train")

    def validation(self) -> zoo.Examples:
        return self._points(12, "validation")

    def test(self) -> zoo.Examples:
        return self._points(16, "test")

    def _points(self, count: int, split: str) -> Points:
        kind = AtOnce if self.config.at_once else Points
        how = self.config.how if split == self.config.split else ""
        return kind(count, how, self.config.at, self.config.folder)


@zoo.hookimpl
def zoo_register(registry: zoo.Registry) -> None:
    registry.model("line", "tiny:Line", summary="A line")
    registry.trainer("line", "tiny:LineTrainer", summary="Least squares")
    registry.dataset("failing", f"{__name__}:Failing", summary="Points that fail")
    registry.recipe("failing", __file__, **RECIPE)


RECIPE: dict[str, Any] = {
    "summary": "A line through points that fail",
    "model": {"name": "line"},
    "dataset": {"name": "failing"},
    "trainer": {"name": "line"},
    "run": {"steps": 30, "batch_size": 8, "workers": 2, "device": "cpu", "threads": 1, "preview_every": 10},
}
