"""Conformance checks for the authors of plugins.

In a test module, one line makes a pytest test of each check:

>>> from zoo_core.testing import conformance
>>> test_conformance = conformance("my-plugin")  # doctest: +SKIP

``zoo check my-plugin`` runs the same checks.
"""

from __future__ import annotations

from zoo_core.testing.check import Skip as Skip
from zoo_core.testing.collect import Case as Case
from zoo_core.testing.collect import Outcome as Outcome
from zoo_core.testing.collect import cases as cases
from zoo_core.testing.pytest_cases import conformance as conformance

__all__ = ["Case", "Outcome", "Skip", "cases", "conformance"]
