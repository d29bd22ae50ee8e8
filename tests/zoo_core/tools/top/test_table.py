from zoo_core.tools.top.table import sparkline


def test_the_lowest_value_has_the_lowest_bar():
    assert sparkline([0, 1, 7, 3.5]) == "▁▂█▅"


def test_equal_values_give_a_flat_line():
    assert sparkline([2.0, 2.0]) == "▁▁"


def test_only_the_last_twenty_values_are_shown():
    assert sparkline([9.0] * 50 + [1.0] * 20) == "▁" * 20
