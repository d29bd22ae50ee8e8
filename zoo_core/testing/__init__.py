"""For plugin authors: does a plugin keep what zoo promises of every plugin?

    from zoo_core.testing import conformance

    test_conforms = conformance("my-plugin")     # a pytest test for each check

``zoo check my-plugin`` runs the same checks.
"""

from __future__ import annotations

from zoo_core.testing.check import Skip as Skip
from zoo_core.testing.collect import Case as Case
from zoo_core.testing.collect import Outcome as Outcome
from zoo_core.testing.collect import cases as cases
from zoo_core.testing.pytest_cases import conformance as conformance

__all__ = ["Case", "Outcome", "Skip", "cases", "conformance"]
