"""The syntax of a sweep's search space: choices and ranges, the same on the command line and in recipe files."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zoo_core.errors import BadSetting
from zoo_core.tools.sweep.space import Choices, Range, grid_point, grid_size, merge_axes, parse_axis


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("1e-4,3e-4", [1e-4, 3e-4]),
        ("gan, lsgan", ["gan", "lsgan"]),
        ("null,0.5", [None, 0.5]),
        ("true,false", [True, False]),
        ("[0.0,0.99],[0.5,0.999]", [[0.0, 0.99], [0.5, 0.999]]),
        ("[[1,2],[3]],[]", [[[1, 2], [3]], []]),
        ("'a,b',c", ["a,b", "c"]),
        ("it's,b", ["it's", "b"]),
        ("log:a,b", ["log:a", "b"]),
        ("1..2,3", ["1..2", 3]),
    ],
)
def test_text_separated_by_commas_is_parsed_as_choices(text, values):
    axis = parse_axis("key", text)
    assert isinstance(axis, Choices)
    assert list(axis.values) == values


@pytest.mark.parametrize("text", ["", "1e-4", "[1,2]", "{a: 1, b: 2}", "'a,b'", "../data", "..", "a..b", "'1..2'"])
def test_a_single_value_is_not_a_choice(text):
    assert parse_axis("key", text) is None


@pytest.mark.parametrize(
    ("text", "axis"),
    [
        ("1..8", Range(1, 8, False)),
        ("-3..3", Range(-3, 3, False)),
        ("0.0..0.5", Range(0.0, 0.5, False)),
        ("0..0.5", Range(0.0, 0.5, False)),
        ("1e-4..1e-2", Range(1e-4, 1e-2, False)),
        ("log:1e-4..1e-2", Range(1e-4, 1e-2, True)),
        ("log:8..256", Range(8, 256, True)),
    ],
)
def test_two_numbers_with_two_dots_between_are_parsed_as_a_range(text, axis):
    found = parse_axis("key", text)
    assert found == axis
    assert found.is_int is isinstance(axis.low, int)
    assert parse_axis("key", found.text) == axis


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1..", "key=1.. is not a valid range."),
        ("..1e-2", "key=..1e-2 is not a valid range."),
        ("log:1", "key=log:1 is not a valid range."),
        ("log:", "key=log: is not a valid range."),
        ("2..1", "key=2..1: the lower end should be less than the upper end."),
        ("1..1", "key=1..1: the lower end should be less"),
        ("log:0..1", "key=log:0..1 starts at 0, but a log range should start above 0."),
        ("1,,2", "key=1,,2 has an empty choice."),
        ("1,2,", "has an empty choice."),
        ("1,2,1", "has the duplicate choice 1."),
        ("[1,2],{3", "is not YAML"),
    ],
)
def test_malformed_choices_and_ranges_are_refused_with_the_reason(text, message):
    with pytest.raises(BadSetting) as caught:
        parse_axis("key", text)
    assert message in caught.value.message
    assert caught.value.hint


def test_a_grid_has_each_combination_once_and_the_last_key_changes_fastest():
    space = {"a": parse_axis("a", "1,2"), "b": parse_axis("b", "x,y,z")}
    points = [grid_point(space, number) for number in range(grid_size(space))]
    assert points[:4] == [{"a": "1", "b": "x"}, {"a": "1", "b": "y"}, {"a": "1", "b": "z"}, {"a": "2", "b": "x"}]
    assert len({tuple(point.items()) for point in points}) == len(points) == 6


def test_a_space_with_a_range_has_no_grid_size():
    assert grid_size({"a": parse_axis("a", "1,2"), "b": parse_axis("b", "0.0..1")}) is None


def test_a_key_with_a_single_value_is_removed_from_the_space():
    space = {"a": Range(1, 2, False), "b": Range(1, 2, False)}
    assert merge_axes(space, {"a": None, "c": Range(1, 3, False)}) == {"b": Range(1, 2, False), "c": Range(1, 3, False)}


@given(st.floats(1e-12, 1e6), st.floats(1.01, 1e6), st.floats(0, 1), st.booleans())
def test_a_rounded_value_is_in_the_range_and_close_to_the_original(low, factor, fraction, log):
    axis = Range(low, low * factor, log)
    value = axis.low + fraction * (axis.high - axis.low)
    rounded = axis.rounded(value)
    assert axis.low <= rounded <= axis.high
    assert abs(rounded - value) <= 1e-3 * min(axis.high - axis.low, value if log else axis.high)


def test_a_rounded_value_has_few_digits():
    assert repr(Range(1e-4, 1e-2, True).rounded(0.0003162277660168379)) == "0.0003162"
    assert repr(Range(0.0, 0.5, False).rounded(0.123456789)) == "0.1235"
    assert repr(Range(0.9999, 0.99999, False).rounded(0.999912345678)) == "0.99991235"
