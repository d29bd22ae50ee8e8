"""Gradients that a trainer adds to those of an earlier step, which a checkpoint therefore has to keep."""

from __future__ import annotations

import weakref
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from torch import Tensor, nn

_WATCHED = (2, 3, 4)  # steps; most trainers clear gradients in each step, and checkpoints need not keep them
WATCHED_STEPS = _WATCHED[-1]
"""Steps after which nothing is watched any more."""


class PendingGradients:
    """Finds out in the first steps which gradients are added to, and captures and restores those.

    A trainer adds to gradients of an earlier step if it accumulates by itself, or if its optimizer has only some of the
    parameters and clears only their gradients. Until the steps that are watched are done, all gradients are captured.

    Args:
        modules: the modules by a name, which stays the same when the run is resumed.
        watches: whether hooks of parameters may be used; otherwise all gradients are captured always.
    """

    def __init__(self, modules: Mapping[str, nn.Module], watches: bool = True) -> None:
        self._watches = watches
        self._parameters: dict[str, nn.Parameter] = {}
        known: set[int] = set()
        for holder, module in modules.items():
            for name, parameter in module.named_parameters():
                if id(parameter) not in known:
                    known.add(id(parameter))
                    self._parameters[f"{holder}.{name}"] = parameter
        self._names: set[str] = set()

    @contextmanager
    def watch(self, step: int) -> Iterator[None]:
        """Context of a step, counted from 1."""
        if step not in _WATCHED or not self._watches:
            yield
            return
        handles = [
            one.register_hook(self._comparison(name, weakref.ref(one.grad)))  # type: ignore[no-untyped-call]
            for name, one in self._parameters.items()
            if one.grad is not None and one.requires_grad
        ]
        try:
            yield
        finally:
            for handle in handles:
                handle.remove()

    def state_dict(self, step: int) -> dict[str, Any]:
        """The gradients to keep after ``step`` steps, and the names of all parameters that were found until then."""
        names = self._names if self._watches and step >= _WATCHED[-1] else self._parameters
        found = {name: self._parameters[name].grad for name in sorted(names)}
        gradients = {name: one for name, one in found.items() if one is not None}
        return {"found": sorted(self._names), "gradients": gradients} if gradients or self._names else {}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore the gradients."""
        self._names = set(state.get("found", ()))
        for name, gradient in state.get("gradients", {}).items():
            parameter = self._parameters[name]
            parameter.grad = gradient.to(parameter.device)

    def _comparison(self, name: str, old: weakref.ref[Tensor]) -> Any:
        parameter = self._parameters[name]
        seen: list[bool] = []

        def compare(_: Tensor) -> None:
            """Called before the first gradient of a step is added: is there still that of an earlier step?"""
            if not seen:
                seen.append(True)
                if parameter.grad is not None and parameter.grad is old() and bool(parameter.grad.any()):
                    self._names.add(name)

        return compare
