"""The conformance checks for plugins, which ``zoo check`` runs, too. In the tests of a plugin, ``test_conforms =
conformance("my-plugin")`` makes a pytest test of each check. Imports ``training`` and the packages below it; only
``cli`` and tests may import it."""

from __future__ import annotations

from zoo_core.testing.check import Skip as Skip
from zoo_core.testing.collect import Case as Case
from zoo_core.testing.collect import Outcome as Outcome
from zoo_core.testing.collect import cases as cases
from zoo_core.testing.pytest_cases import conformance as conformance

__all__ = ["Case", "Outcome", "Skip", "cases", "conformance"]
