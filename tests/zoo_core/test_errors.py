"""Errors and the wording of their messages."""

from __future__ import annotations

import pytest

from zoo_core.errors import BadFile, BadSetting, UnknownName, ZooError, did_you_mean, in_yaml, nearest, one_line, raised


def test_an_error_is_its_message_and_the_hint_in_a_second_line():
    error = BadSetting("run.steps is -1.", "Write a positive number.")
    assert (error.message, error.hint) == ("run.steps is -1.", "Write a positive number.")
    assert str(error) == "run.steps is -1.\n  Write a positive number."
    assert str(BadFile("a.yaml is empty.")) == "a.yaml is empty."
    assert all(issubclass(kind, ZooError) for kind in (BadFile, BadSetting, UnknownName))


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("a\nb", r"a\nb"),
        ("a\r\n\tb", r"a\r\n\tb"),
        ("\x1b[2Jred", r"\x1b[2Jred"),
        ("\u2028x\u202ey", r"\u2028x\u202ey"),
        ("\udcff", r"\udcff"),
        ("Größe 10\N{NO-BREAK SPACE}m", "Größe 10\N{NO-BREAK SPACE}m"),
        ("日本", "日本"),
    ],
)
def test_an_error_has_two_lines_whatever_the_names_and_values_in_it_are(name, shown):
    error = BadFile(f"{name} does not exist.", f"Create {name}.")
    assert str(error) == f"{shown} does not exist.\n  Create {shown}."
    assert (error.message, error.hint) == (f"{shown} does not exist.", f"Create {shown}.")
    error.hint = f"{error.hint} It is in {name}."
    assert len(str(error).splitlines()) == 2


class CannotBeShown(Exception):
    def __str__(self):
        raise ValueError


@pytest.mark.parametrize(
    ("error", "shown"),
    [
        (ValueError("no\n  such\tcolor."), "ValueError: no such color"),
        (KeyError("a"), "KeyError: 'a'"),
        (ZeroDivisionError(), "ZeroDivisionError"),
        (CannotBeShown(), "CannotBeShown"),
        (OSError("x" * 900), "OSError: " + "x" * 400 + "…"),
    ],
)
def test_what_was_raised_is_shown_in_one_line(error, shown):
    assert raised(error) == shown


def test_the_nearest_name_is_suggested():
    names = ["learning_rate", "batch_size", "steps"]
    assert nearest("learning_rte", names) == "learning_rate"
    assert nearest("zzz", names) is None
    assert nearest("AdamW", ["adam", "adamax", "adamw"]) == "adamw"
    assert nearest("iou_Background", ["iou_background", "IoU"]) == "iou_background"
    assert did_you_mean("step", names) == "Did you mean 'steps'?"
    assert did_you_mean("zzz", names) is None
    assert did_you_mean("zzz", names, "See `zoo list`.") == "See `zoo list`."


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "null"),
        (True, "true"),
        (1.5, "1.5"),
        ("a", "'a'"),
        ([1, (False, None)], "[1, [false, null]]"),
        ({"a": {1: "b"}}, "{a: {1: 'b'}}"),
    ],
)
def test_values_are_written_in_yaml(value, text):
    assert in_yaml(value) == text


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("a\n b\t c", "a b c"),
        ("\x1b[31mred", r"\x1b[31mred"),
        ("Größe", "Größe"),
        (300 * "x", 200 * "x" + "…"),
    ],
)
def test_text_becomes_one_printable_line(text, line):
    assert one_line(text) == line


@pytest.mark.parametrize(
    ("name", "known", "match"),
    [
        ("timm/resnte18", ["timm/resnet18", "resnet"], "timm/resnet18"),
        ("timm/zzz", ["timm/long", "zzzz"], None),
        ("tmm/resnet18", ["timm/resnet18"], "timm/resnet18"),
        ("resnet18", ["timm/resnet18", "timm/vit"], "timm/resnet18"),
        ("a/b", [], None),
    ],
)
def test_of_names_with_a_prefix_the_rest_is_compared(name: str, known: list[str], match: str | None) -> None:
    assert nearest(name, iter(known)) == match
