"""YAML is read by the core schema of YAML 1.2, and written values are read back unchanged."""

from __future__ import annotations

import math
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from omegaconf import OmegaConf

from zoo_core.config.yaml_reader import as_text, read_text

# Section 10.3 of the specification of YAML 1.2, and what YAML 1.1 reads otherwise.
CORE = {
    "1e-3": 0.001,
    "1E3": 1000.0,
    "-1e+3": -1000.0,
    "1.e3": 1000.0,
    ".5e3": 500.0,
    "1.5": 1.5,
    ".5": 0.5,
    "5.": 5.0,
    "-0": 0,
    "+12": 12,
    "017": 17,
    "0o17": 15,
    "0x1f": 31,
    ".inf": math.inf,
    "-.INF": -math.inf,
    "null": None,
    "~": None,
    "": None,
    "true": True,
    "True": True,
    "FALSE": False,
    "'1e-3'": "1e-3",
    '"yes"': "yes",
    "!!str 5": "5",
    "!!int '010'": 10,
}
TEXT = ["1_000", "1_0e3", "0b1", "0o9", "1:30", "1:30.5", "._5e3", ".e3", "1e", "e3", "+", ".", "1.2.3", "???", "text"]
TEXT += ["2026-11-25", "2026-11-25T10:00:00Z", "yes", "no", "on", "off", "Yes", "y", "n", "tRue", "=", "a.b", "+.nan"]
WORDS = [*CORE, *TEXT]
TEXTS = st.text() | st.sampled_from(
    [*WORDS, " a", "a: b", "#", "- a", "é", "\x85", "\u2028", "a\nb\n", "${a}", "*a", "&a"]
)
LEAVES = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | TEXTS
VALUES = st.dictionaries(
    TEXTS, st.recursive(LEAVES, lambda inner: st.lists(inner) | st.dictionaries(TEXTS, inner), max_leaves=8)
)


def with_omegaconf(text: str) -> Any:
    return OmegaConf.to_container(OmegaConf.create(text), resolve=False)


@pytest.mark.parametrize(("word", "value"), [*CORE.items(), *((word, word) for word in TEXT)])
def test_a_word_is_read_by_the_core_schema_of_yaml_1_2(word: str, value: Any) -> None:
    assert repr(read_text(f"key: {word}")) == repr({"key": value})


def test_not_a_number_is_read() -> None:
    assert math.isnan(read_text("key: .NaN")["key"])


@pytest.mark.parametrize(
    "text",
    [
        "a: &x {b: 1}\nc:\n  <<: *x\n  b: 2\n",
        "a: {<<: [{x: 1}, {x: 2}]}",
        "a: &x [1]\nb: *x\n",
        "a: {1: 2, false: 3, 1.5: 4}",
        "a: |\n  two\n  lines\n",
        "a: !!binary aGk=",
        "a: !!str 5",
    ],
)
def test_a_document_is_read_as_omegaconf_reads_it(text: str) -> None:
    assert repr(read_text(text)) == repr(with_omegaconf(text))


@given(VALUES)
def test_written_values_are_read_back_unchanged(values: dict[str, Any]) -> None:
    assert read_text(as_text(values)) == values


def test_the_order_is_kept_tuples_become_lists_and_no_alias_is_written() -> None:
    betas = (0.5, 0.99)
    assert as_text({"b": betas, "a": {"b": betas}}) == "b:\n- 0.5\n- 0.99\na:\n  b:\n  - 0.5\n  - 0.99\n"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{a: 1, a: 2}", "found duplicate key a"),
        ("b: {a: 1, 'a': 2}", "found duplicate key a"),
        ("{1: a, 0x1: b}", "found duplicate key 0x1"),
        ("{1: a, true: b}", "found duplicate key true"),
        ("a: &x [*x]", "found unconstructable recursive node|it contains itself"),
        ("a: &x {b: *x}", "found unconstructable recursive node|it contains itself"),
        ("a: {null: 1}", "it has a key that is null"),
        ("a: !!set {b}", "it contains a set"),
        ("a: !!timestamp 2026-11-25", "it contains a date"),
        ("a: !!python/object:os.system {}", "could not determine a constructor"),
        ("a: 1\n---\nb: 2\n", "expected a single document"),
        ("a: !!int abc", "abc is not an integer that can be read"),
        ("a: !!int 0x_", "0x_ is not an integer"),
        ("a: !!float 1:30", "1:30 is not a number"),
        ("a: !!timestamp x", "has no attribute|could not"),
        ("a: " + 5000 * "9", "999999999…, of 5,000 digits, is not an integer that can be read"),
        ("a: \udcff", "surrogates not allowed"),
        ("a: " + 5000 * "[" + 5000 * "]", "nesting"),
    ],
)
def test_values_that_are_not_plain_are_refused(text: str, message: str) -> None:
    with pytest.raises(yaml.YAMLError, match=message):
        read_text(text)


def test_a_mapping_can_merge_one_that_merges_another() -> None:
    text = """
a: &a {x: 1, run: {steps: 10}}
b: &b
  <<: *a
  run: {steps: 20}
c:
  <<: *b
  run: {steps: 30}
"""
    assert read_text(text)["c"] == {"x": 1, "run": {"steps": 30}}


def test_aliases_cannot_make_a_short_file_a_huge_document() -> None:
    levels = [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]" for i in range(1, 30)]
    with pytest.raises(yaml.YAMLError, match="its aliases make it too large"):
        read_text("\n".join(["a0: &a0 [x, x, x, x]", *levels]))


def test_a_long_file_without_aliases_is_read() -> None:
    assert len(read_text("".join(f"k{i}: [{i}]\n" for i in range(20_000)))) == 20_000


@pytest.mark.parametrize("number", ["0x" + "f" * 4000, "0o" + "7" * 6000, "-" + "9" * 5000])
def test_an_integer_that_python_does_not_write_is_not_read(number: str) -> None:
    with pytest.raises(yaml.YAMLError, match="is not an integer that can be read"):
        read_text(f"a: {number}")
