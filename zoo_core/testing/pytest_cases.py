"""The checks as tests of pytest."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from zoo_core.testing.collect import Case, cases


def conformance(name: str, overrides: Iterable[str] = ()) -> Callable[[Case], None]:
    """A test for each check of the plugin, model, data set or recipe ``name``.

        test_conforms = conformance("my-plugin", ["run.batch_size=8"])

    ``overrides`` are laid over every recipe that is tried.
    """
    import pytest

    @pytest.mark.parametrize("case", cases(name, overrides), ids=str)
    def test_conforms(case: Case) -> None:
        outcome = case.run()
        if outcome.state == "skipped":
            pytest.skip(outcome.why)
        if outcome.state == "failed":
            pytest.fail(f"{outcome.why}\n  Guards: {case.check.guards}\n  Hint: {case.check.hint}", pytrace=False)

    return test_conforms
