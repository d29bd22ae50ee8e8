"""Lines of metrics.jsonl: always valid JSON, and damaged ones are recognized."""

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zoo_core.runs.metrics import format_line, parse_line


def reject(name):
    raise AssertionError(name)


@given(st.dictionaries(st.text(), st.floats() | st.integers(-(2**63), 2**63 - 1)))
def test_every_line_is_valid_json_and_is_read_back(values):
    values["step"] = 7
    line = format_line(values)
    assert line.endswith("\n")
    assert line.count("\n") == 1
    json.loads(line, parse_constant=reject)
    expected = {name: value if math.isfinite(value) else None for name, value in values.items()}
    assert parse_line(line.encode()) == expected


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_value_that_is_not_finite_is_null(value):
    assert format_line({"step": 1, "loss": value}) == '{"step": 1, "loss": null}\n'


def test_the_mark_of_the_byte_order_that_an_editor_writes_first_is_no_damage():
    assert parse_line(b'\xef\xbb\xbf{"step": 1, "loss": 2}\r') == {"step": 1, "loss": 2}


@pytest.mark.parametrize(
    "line",
    [b"", b"{", b"[]", b"{}", b"5", b"null", b"\0\0\0", b'{"step": 1', b'{"step": 1}}', b'{"step": null}',
     b'{"step": true}', b'{"step": 1.5}', b'{"step": -1}', b'{"step": "1"}', b'{"step": 1, "loss": NaN}',
     b'{"step": 1, "loss": Infinity}', b'{"step": 1, "loss": 1e999}', b'{"step": 1, "loss": "0.5"}',
     b'{"step": 1, "loss": [1]}', b'{"step": 1, "step": 2}', b'{"step": 1, "lo\xffs": 1}', b"[" * 100_000,
     b'{"step": 1, "loss": ' + b"9" * 100 + b"}", b'{"step": ' + b"9" * 5000 + b"}"],
)  # fmt: skip
def test_a_damaged_line_is_recognized(line):
    assert parse_line(line) is None
