"""State of the whole process that a plugin or a run may change, and that is restored afterwards.

Imports no torch: what torch has is compared only if something else has imported it.
"""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

_DEFAULTS = {"grad mode": True, "deterministic algorithms": False, "flushing of denormal numbers": False}


@contextmanager
def restoring_process() -> Iterator[None]:
    """Context at whose end the process is as it was: directory, umask, warnings filters, and the settings of torch."""
    before = _read()
    with warnings.catch_warnings():
        try:
            yield
        finally:
            _restore(before)


@contextmanager
def naming_changes() -> Iterator[list[str]]:
    """Context at whose end what was changed is restored; the list then has the names of it."""
    changed: list[str] = []
    before = _read()
    try:
        yield changed
    finally:
        changed += _restore(before)


def _read() -> dict[str, Any]:
    values: dict[str, Any] = {"the umask": _umask()}
    with suppress(OSError):  # it was deleted
        values["the working directory"] = os.getcwd()
    return values | {f"torch's {name}": read() for name, (read, _) in _of_torch().items()}


def _restore(before: dict[str, Any]) -> list[str]:
    changed = []
    for name, value in _read().items():
        known = before.get(name, _default(name))
        if known is not None and value != known:
            _set(name, known)
            changed.append(name)
    return changed


def _set(name: str, value: Any) -> None:
    if name == "the umask":
        os.umask(value)
    elif name == "the working directory":
        with suppress(OSError):  # it was deleted
            os.chdir(value)
    else:
        _of_torch()[name.removeprefix("torch's ")][1](value)


def _umask() -> int:
    current = os.umask(0o077)  # it can only be read by setting it
    os.umask(current)
    return current


def _default(name: str) -> Any:
    """What torch has when it is imported; None for what depends on the machine."""
    torch: Any = sys.modules.get("torch")
    of_torch = {"default dtype": torch.float32, "default device": torch.device("cpu")} if torch else {}
    return {**_DEFAULTS, **of_torch}.get(name.removeprefix("torch's "))


def _of_torch() -> dict[str, tuple[Callable[[], Any], Callable[[Any], object]]]:
    """How to read and set each setting of torch; nothing if it is not imported."""
    torch: Any = sys.modules.get("torch")
    if torch is None or not hasattr(torch, "get_default_device"):  # it may be half imported
        return {}
    return {
        "default dtype": (torch.get_default_dtype, torch.set_default_dtype),
        "default device": (
            torch.get_default_device,
            lambda device: torch.set_default_device(None if device == torch.device("cpu") else device),
        ),
        "grad mode": (torch.is_grad_enabled, torch.set_grad_enabled),
        "number of threads": (torch.get_num_threads, torch.set_num_threads),
        "deterministic algorithms": (torch.are_deterministic_algorithms_enabled, torch.use_deterministic_algorithms),
        "flushing of denormal numbers": (lambda: flushes_denormals(torch), torch.set_flush_denormal),
    }


def flushes_denormals(torch: Any) -> bool:
    """Whether the CPU flushes denormal numbers to zero, which torch can set and not tell."""
    return not torch.full((1,), 1e-39, dtype=torch.float32, device="cpu").mul(1).view(torch.int32).item()


@contextmanager
def flushing(torch: Any, flushes: bool) -> Iterator[None]:
    """Context in which the CPU flushes denormal numbers to zero, or does not."""
    before = flushes_denormals(torch)
    try:
        torch.set_flush_denormal(flushes)
        yield
    finally:
        torch.set_flush_denormal(before)
