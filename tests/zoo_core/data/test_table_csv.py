"""Tables as CSV: a spreadsheet runs no text as a formula, and what is read back is what was written."""

import csv
import io

import pytest

from zoo_core.data.table_csv import as_csv, read_csv, shown

FORMULAS = ["=1+1", "+cmd|' /C calc'!A0", "-2+3", "@SUM(A1)", "\t=1", "\r=1"]


@pytest.mark.parametrize("text", FORMULAS)
def test_a_text_that_a_spreadsheet_takes_for_a_formula_is_written_after_an_apostrophe(text):
    written = list(csv.reader(io.StringIO(as_csv({"a": [text]}), newline="")))
    assert written == [["a"], ["'" + text]]


def test_numbers_stay_numbers():
    columns = {"a": [-1, 2.5, True, float("-inf")], "b": ["-1", "+1e5", "-0.25", "-inf"]}
    assert as_csv(columns) == "a,b\r\n-1,-1\r\n2.5,+1e5\r\nTrue,-0.25\r\n-inf,-inf\r\n"


def test_every_text_is_read_back_as_it_was():
    texts = [
        *FORMULAS,
        *(f"'{one}" for one in FORMULAS),
        "''=1",
        "'quoted'",
        "'",
        "",
        "a,b",
        'say "no"',
        "two\nlines",
        "ä🎉",
    ]
    names = {"=name": texts, "b": texts}
    header, *rows = read_csv(io.StringIO(as_csv(names), newline=""))
    assert header == ["=name", "b"]
    assert rows == [[text, text] for text in texts]


def test_none_is_an_empty_field_and_a_table_may_be_empty():
    assert as_csv({"a": [None, 1], "b": [2, None]}) == "a,b\r\n,2\r\n1,\r\n"
    assert as_csv({"a": []}) == "a\r\n"
    assert list(read_csv(io.StringIO(as_csv({})))) == []


def test_a_reader_sees_six_digits_of_a_fraction():
    assert [shown(cell) for cell in (1 / 3, 10**9, None, "=x", True)] == ["0.333333", "1000000000", "", "=x", "True"]
