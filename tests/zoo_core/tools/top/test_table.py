from zoo_core.tools.top.table import sparkline


def test_the_lowest_value_is_the_lowest_bar():
    assert sparkline([0, 1, 7, 3.5]) == "▁▂█▅"


def test_values_that_do_not_differ_are_flat():
    assert sparkline([2.0, 2.0]) == "▁▁"


def test_only_the_newest_are_shown():
    assert sparkline([9.0] * 50 + [1.0] * 20) == "▁" * 20
