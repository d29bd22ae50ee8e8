"""The conformance checks as pytest tests."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from zoo_core.testing.collect import Case, cases


def conformance(name: str, overrides: Iterable[str] = ()) -> Callable[[Case], None]:
    """Return a pytest test function that is parametrized by the checks of a plugin.

    Assign it to a name that starts with ``test_``.

    Parameters
    ----------
    name : str
        Name of a plugin, model, dataset or recipe. The checks of a plugin include those of everything it registers.
    overrides : iterable of str, default ()
        Overrides ``key=value`` for each recipe that is checked.

    Returns
    -------
    callable
        The test function.

    Raises
    ------
    UnknownName
        If nothing has this name.

    See Also
    --------
    cases : The checks without pytest.

    Examples
    --------
    >>> test_conforms = conformance("my-plugin", ["run.batch_size=8"])  # doctest: +SKIP
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
