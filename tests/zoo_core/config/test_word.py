"""What is typed on the command line arrives as it is typed where the setting is text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import pytest

import zoo_core as zoo
from zoo_core.config.arguments import interpret
from zoo_core.config.recipe import Recipe, typed_settings
from zoo_core.config.settings import read
from zoo_core.config.word import Word
from zoo_core.errors import BadSetting


@dataclass(frozen=True, kw_only=True)
class Config:
    path: str = zoo.setting("", "a path")
    maybe: str | None = zoo.setting(None, "a path, or null")
    either: int | str = zoo.setting(1, "a number or text")
    mode: Literal["on", "off", "auto"] = zoo.setting("auto", "when")
    bits: Literal["16", "32"] = zoo.setting("32", "bits")
    level: Literal[1, 2, "no"] = zoo.setting(1, "level")
    batch: int | Literal["auto"] = zoo.setting(1, "size")
    flag: bool = zoo.setting(False, "whether")
    rate: float = zoo.setting(1.0, "rate")
    count: int | None = zoo.setting(None, "count")
    names: tuple[str, ...] = zoo.setting((), "names")
    table: dict[str, str] = zoo.setting({}, "texts by name")  # it is a field
    widths: list[int] = zoo.setting([], "widths")  # it is a field
    parts: str | list[int] = zoo.setting("", "text or numbers")


def value(key: str, typed: str) -> Any:
    return getattr(read(Config, {key: Word(typed)}, "x"), key)


TEXTS = ["/data/run #3", "a: b.png", "010", "1:30", " a ", "2024", "two\nlines", "null", "true", "[x].png", "{x}", "*x"]
TEXTS += [
    "&a",
    "%x",
    "@x",
    "!x",
    "- x",
    "a, b",
    "C:\\tmp\\x",
    "#x",
    "it's",
    'a"b',
    "~",
    "~/x",
    "1e3",
    "$HOME",
    "é漢🙂",
    "",
]


@pytest.mark.parametrize("typed", TEXTS)
def test_text_arrives_as_typed(typed: str) -> None:
    assert value("path", typed) == typed


@pytest.mark.parametrize(("typed", "text"), [("'007'", "007"), ('"a b"', "a b"), ('""', ""), ("''", ""), ("'", "'")])
def test_one_pair_of_quotes_around_text_is_removed(typed: str, text: str) -> None:
    assert value("path", typed) == text


@pytest.mark.parametrize(
    ("key", "typed", "expected"),
    [
        ("maybe", "null", None),
        ("maybe", "~", None),
        ("maybe", "010", "010"),
        ("maybe", "", None),
        ("maybe", "''", ""),
        ("either", "5", 5),
        ("either", "5.5", "5.5"),
        ("either", "a #b", "a #b"),
        ("either", "'5'", "5"),
        ("either", "5 #b", "5 #b"),
        ("either", " 5", " 5"),
        ("maybe", "null #3", "null #3"),
        ("maybe", " ", " "),
        ("mode", "on", "on"),
        ("mode", "off", "off"),
        ("mode", "'off'", "off"),
        ("bits", "16", "16"),
        ("level", "2", 2),
        ("level", "no", "no"),
        ("batch", "auto", "auto"),
        ("batch", "64", 64),
        ("flag", "on", True),
        ("flag", "no", False),
        ("rate", "1e-3", 0.001),
        ("rate", " .5 ", 0.5),
        ("rate", "3", 3.0),
        ("count", "1_000", 1000),
        ("count", "0x10", 16),
        ("count", "null", None),
        ("count", "", None),
        ("names", "[010, on, 'a, b', x y]", ("010", "on", "a, b", "x y")),
        ("names", "[]", ()),
        ("table", "{a: 010, b: no}", {"a": "010", "b": "no"}),
        ("widths", "[1, 2]", [1, 2]),
        ("parts", "[1, 2]", [1, 2]),
        ("parts", "[1, 2", "[1, 2"),
        ("parts", "[1] #2", "[1] #2"),
    ],
)
def test_the_type_of_a_setting_says_how_a_word_is_read(key: str, typed: str, expected: Any) -> None:
    found = value(key, typed)
    assert (type(found), found) == (type(expected), expected)


@pytest.mark.parametrize(
    ("key", "typed", "message", "hint"),
    [
        ("rate", "1:30", "rate is '1:30', but should be a float", "Leave it out"),
        ("count", "5.0", "count is 5.0, but should be an int or null", "Write `count=5`."),
        (
            "widths",
            "[1, 2",
            r"widths is '\[1, 2', but should be a list of int",
            "It is not YAML: did not find expected",
        ),
        ("names", "[a #b, c]", r"names is '\[a #b, c\]', but should be a list of str", "Quote text that contains"),
        ("widths", "3", "widths is 3, but should be a list of int", r"Write `widths=\[3\]`, in brackets."),
        ("mode", "onn", "mode is 'onn', but should be one of on, off, auto", "Did you mean 'on'?"),
    ],
)
def test_a_word_of_the_wrong_type_is_refused(key: str, typed: str, message: str, hint: str) -> None:
    with pytest.raises(BadSetting, match=message) as error:
        value(key, typed)
    assert error.match(hint.replace("?", r"\?"))


def test_overrides_of_a_recipe_keep_what_was_typed() -> None:
    recipe = Recipe("r", {"dataset": {"name": "d", "path": "old"}}).with_overrides(["dataset.path=010", "summary=1: 2"])
    assert read(Config, typed_settings(recipe, "dataset"), "x").path == "010"
    assert recipe.summary == "1: 2"
    assert (
        read(Config, typed_settings(recipe.with_overrides(["dataset.path=a: b.png"]), "dataset"), "x").path
        == "a: b.png"
    )
    again = recipe.with_overrides(["dataset.path=new"])
    assert read(Config, typed_settings(again, "dataset"), "x").path == "new"


@pytest.mark.parametrize("typed", ["{x}", "{}", "{a: b}", '{"a": 010, b: [1, {c: 2}]}', "{x: }"])
@pytest.mark.parametrize("below", [{}, {"path": "old"}, {"path": None}])
def test_an_override_in_braces_is_text_where_the_setting_is(typed: str, below: dict[str, str]) -> None:
    recipe = Recipe("r", {"dataset": {"name": "d", **below}}).with_overrides([f"dataset.path={typed}"])
    assert read(Config, typed_settings(recipe, "dataset"), "x").path == typed


def test_an_override_in_braces_is_added_to_the_mapping_of_a_file() -> None:
    recipe = Recipe("r", {"dataset": {"name": "d", "table": {"a": "x", "b": "y"}}})
    recipe = recipe.with_overrides(["dataset.table={b: 010}"])
    assert read(Config, typed_settings(recipe, "dataset"), "x").table == {"a": "x", "b": "010"}


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        ('"to be" or "not to be"', '"to be" or "not to be"'),
        ("'a', 'b'", "'a', 'b'"),
        ("'a' # 'b'", "'a' # 'b'"),
        ("'a\"b'", 'a"b'),
        ("'it''s'", "it''s"),
        ('"', '"'),
    ],
)
def test_quotes_are_removed_only_if_they_are_one_pair(typed: str, expected: str) -> None:
    assert value("path", typed) == expected


def test_the_later_override_of_a_nested_key_counts() -> None:
    recipe = Recipe("r", {"dataset": {"name": "d"}}).with_overrides(["dataset.table={a: 1}", "dataset.table.b=007"])
    assert read(Config, typed_settings(recipe, "dataset"), "x").table == {"a": "1", "b": "007"}
    recipe = recipe.with_overrides(["dataset.table.a=008"])
    assert read(Config, typed_settings(recipe, "dataset"), "x").table == {"a": "008", "b": "007"}


@pytest.mark.parametrize(
    ("typed", "hint", "expected"),
    [
        ("2024", str | Path, "2024"),
        ("a #b.png", str | Path | bytes, "a #b.png"),
        ("[dog, cat]", Sequence[int | str] | int | str | None, ["dog", "cat"]),
        ("5", Sequence[int | str] | int | str | None, 5),
        ("dog", Sequence[int | str] | int | str | None, "dog"),
        ("[1].png", Sequence[int] | str, "[1].png"),
        ("null", Path | None, None),
        ("null #2.png", Path | None, "null #2.png"),
        ("010", int, 10),
        ("[5, 5]", Sequence[int], [5, 5]),
    ],
)
def test_an_argument_of_predict_is_read_as_its_annotation_says(typed: str, hint: Any, expected: Any) -> None:
    found = interpret(Word(typed), hint)
    assert (type(found), found) == (type(expected), expected)
