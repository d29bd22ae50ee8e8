"""Names that are not in use yet."""

from __future__ import annotations

import pytest

from zoo_core.config.naming import unused_name


@pytest.mark.parametrize(
    ("taken", "expected"),
    [((), "name"), (("name",), "name-2"), (("name", "name-2", "name-4"), "name-3"), (("name-2",), "name")],
)
def test_the_first_free_number_is_appended(taken, expected):
    assert unused_name("name", taken.__contains__) == expected
