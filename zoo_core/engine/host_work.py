"""Finds the work of the host in a trainer's step, which a CUDA graph of the step could not repeat."""

from __future__ import annotations

import linecache
import random
import sys
import traceback
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np
import torch

from zoo_core.engine.host_state import HostState

_SYNCHRONIZES = "called a synchronizing CUDA operation"
_OURS = str(Path(__file__).parents[1])
_LIBRARIES = (str(Path(torch.__file__).parent), str(Path(contextmanager.__code__.co_filename).parent), _OURS)


@dataclass
class HostWork:
    """What a step read, and the first reason why it can't be captured."""

    reason: str | None = None
    read: set[str] = field(default_factory=set)

    def found(self, reason: str) -> None:
        """Note a reason, unless there is one already."""
        self.reason = self.reason or reason


@contextmanager
def watched(trainer: Any, device: torch.device) -> Iterator[HostWork]:
    """Context of one step of ``trainer`` whose work of the host is found. The step is performed as always."""
    work = HostWork()
    before, draws = HostState(trainer, vars(trainer), device), _drawn_from(device)
    attributes = set(vars(trainer))
    with _attributes_read(trainer) as read, _noting_synchronizations(work, device):
        yield work
    work.read = set(read)
    if changed := before.changed():
        work.found(f"step changes {changed}, which a graph cannot repeat")
    if new := set(vars(trainer)) - attributes:
        work.found(f"step creates self.{min(new)}, which a graph cannot repeat")
    for (source, state), (_, now) in zip(draws, _drawn_from(device), strict=True):
        if state != now:
            work.found(f"step draws from {source}, which a graph cannot repeat")


def line_of(frames: Iterable[tuple[FrameType, int]]) -> str:
    """The innermost line of a plugin's code among ``frames``, as "my_package/trainer.py, line 12: `loss.item()`"."""
    for frame, number in frames:
        file = frame.f_code.co_filename
        if not file.startswith(("<", *_LIBRARIES)) and "site-packages" not in file:
            code = linecache.getline(file, number).strip()
            return f"{Path(file).parent.name}/{Path(file).name}, line {number}: `{code}`"
    return ""


def line_of_error(error: BaseException) -> str:
    """The innermost line of a plugin's code that an error passed, or that of the error which it was raised from."""
    while error.__context__ is not None:
        error = error.__context__
    return line_of(reversed(list(traceback.walk_tb(error.__traceback__))))


@contextmanager
def _attributes_read(trainer: Any) -> Iterator[set[str]]:
    """Context that collects the names of the attributes of ``trainer`` that are read inside it."""
    names: set[str] = set()
    kind: Any = type(trainer)
    read, own = kind.__getattribute__, vars(kind).get("__getattribute__")

    def note(self: Any, name: str) -> Any:
        if self is trainer:
            names.add(name)
        return read(self, name)

    kind.__getattribute__ = note  # of the class, since Python does not look it up in an object
    try:
        yield names
    finally:
        if own is None:
            del kind.__getattribute__
        else:
            kind.__getattribute__ = own
        if "__dict__" in names:
            names.update(vars(trainer))
        names -= {"__dict__", "__class__"}


@contextmanager
def _noting_synchronizations(work: HostWork, device: torch.device) -> Iterator[None]:
    """Note operations that wait for the device, which PyTorch warns of while it is asked to."""
    if device.type != "cuda":
        yield
        return
    mode = torch.cuda.get_sync_debug_mode()
    with warnings.catch_warnings():
        show = warnings.showwarning

        def note(message: Any, *rest: Any, **named: Any) -> None:
            if _SYNCHRONIZES not in str(message):
                show(message, *rest, **named)
            else:
                line = line_of(traceback.walk_stack(sys._getframe(1)))
                work.found(f"step reads a value back from the device ({line or 'in the backward pass'})")

        warnings.showwarning = note
        warnings.filterwarnings("ignore", "Synchronization debug mode is a prototype")
        warnings.filterwarnings("always", f".*{_SYNCHRONIZES}")
        torch.cuda.set_sync_debug_mode("warn")
        try:
            yield
        finally:
            torch.cuda.set_sync_debug_mode(mode)


def _drawn_from(device: torch.device) -> list[tuple[str, Any]]:
    """The states of the random numbers of the host."""
    in_numpy = np.random.get_state(legacy=False)["state"]
    states: list[tuple[str, Any]] = [
        ("NumPy's random numbers", (in_numpy["pos"], in_numpy["key"].tobytes())),
        ("Python's random numbers", random.getstate()),
    ]
    if device.type != "cpu":
        states.append(("the random numbers of the CPU", torch.default_generator.get_state().numpy().tobytes()))
    return states
