"""Conformance checks: what a check guards, how to fix a failure, and the function that performs it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from zoo_core.registry.catalog import Catalog

Kind = Literal["plugin", "model", "dataset", "recipe"]


class Skip(Exception):
    """Raised by a check that does not apply, with the reason."""


class Failed(AssertionError):
    """Raised by a check that fails, with what was found."""


@dataclass(frozen=True)
class Subject:
    """What is checked: a plugin, model, dataset or recipe. ``overrides`` apply to each recipe."""

    kind: Kind
    name: str
    catalog: Catalog
    overrides: tuple[str, ...] = ()


@dataclass(frozen=True)
class Check:
    """A conformance check. ``guards`` is the guarantee that it tests, ``hint`` how to fix a failure."""

    name: str
    kind: Kind
    guards: str
    hint: str
    function: Callable[[Subject], None]

    def __call__(self, subject: Subject) -> None:
        """Perform the check."""
        self.function(subject)


def check(kind: Kind, guards: str, hint: str) -> Callable[[Callable[[Subject], None]], Check]:
    """Turn a function of a subject into a check with the name of the function."""

    def make(function: Callable[[Subject], None]) -> Check:
        return Check(function.__name__.replace("_", "-"), kind, guards, hint, function)

    return make


def require(condition: bool, finding: str) -> None:
    """Fail the check with ``finding`` unless ``condition`` is true."""
    if not condition:
        raise Failed(finding)
