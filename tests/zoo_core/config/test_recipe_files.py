"""Malformed recipe files: the messages contain the file, the line and the error."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from zoo_core.config.layers import Recipes
from zoo_core.config.recipe import read_config
from zoo_core.config.recipe_files import read_yaml
from zoo_core.errors import BadFile, ZooError

Write = Callable[[str, str], Path]


def refusal(call: Callable[[], Any]) -> ZooError:
    with pytest.raises(ZooError) as raised:
        call()
    return raised.value


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("recipes:\n  a: [\n", "bad.yaml:3: this is not YAML"),
        ("recipes:\n\ta: 1\n", "bad.yaml:2: this is not YAML"),
        ("recipes:\n  a: {}\n  a: {}\n", "bad.yaml:3: this is not YAML: found duplicate key a."),
        ("recipes:\n  a:\n    run: {seed: 1, seed: 2}\n", "bad.yaml:3: this is not YAML: found duplicate key seed."),
        ("a: 1\n---\nb: 2\n", "bad.yaml:2: this is not YAML"),
        ("recipes:\n  a: !!python/object:os.system {}\n", "bad.yaml:2: this is not YAML"),
        ("- a\n", "bad.yaml contains a list, but should contain a mapping"),
        ("5\n", "bad.yaml contains a single value, but should contain a mapping"),
        ("recipe:\n  a: {}\n", "bad.yaml:1: a registry has no section 'recipe'."),
        ("recipes: 5\n", "bad.yaml:1: recipes is 5, but should be a mapping from names to entries."),
        ("recipes: []\n", "bad.yaml:1: recipes is [], but should be a mapping from names to entries."),
        ("recipes:\n  a: 5\n", "bad.yaml:2: recipes.a is 5, but should be a mapping."),
        ("recipes:\n  a:\n", "bad.yaml:2: recipes.a is null, but should be a mapping."),
        ("recipes:\n  a: [true, false]\n", "bad.yaml:2: recipes.a is [true, false], but should be a mapping."),
        ("recipes:\n  a:\n    run: {}\n    model:\n", "bad.yaml:4: model is null, but should be a mapping."),
        ("recipes:\n  a:\n    summary: {of: it}\n", "bad.yaml:3: summary is {of: 'it'}, but should be text."),
        ("recipes:\n  a:\n    summary: true\n", "bad.yaml:3: summary is true, but should be text."),
        ("recipes:\n  true: {}\n", "bad.yaml:1: true is not a valid name"),
        ("weights:\n  w: 5\n", "bad.yaml:2: weights.w is 5, but should be a mapping."),
        ("recipes:\n  2026: {}\n", "bad.yaml:2: 2026 is not a valid name"),
        ("recipes:\n  ../../evil: {}\n", "bad.yaml:2: '../../evil' is not a valid name"),
        ("recipes:\n  a:\n    modle: {name: x}\n", "bad.yaml:3: recipe 'a' has no part 'modle'."),
        ("recipes:\n  a:\n    summary: x\n    model: x\n", "bad.yaml:4: model is 'x', but should be a mapping."),
    ],
)
def test_the_message_for_a_malformed_file_contains_the_line(write: Write, text: str, message: str) -> None:
    recipes = Recipes([], [write("bad.yaml", text)])
    refused = refusal(lambda: recipes.find(next((name for _, name in recipes.names()), "a")))
    assert refused.message.startswith(message)
    assert refused.hint or "summary" in message


@pytest.mark.parametrize("bad", ["../../evil: {}", "2026: {}", "a: 5", "a:", "true: [1]", "'': {}"])
def test_a_malformed_recipe_hides_no_other_one(write: Write, bad: str) -> None:
    recipes = Recipes([], [write("bad.yaml", f"recipes:\n  {bad}\n  fine: {{model: {{name: m}}}}\n")])
    names = [name for _, name in recipes.names()]
    assert len(names) == 2
    assert recipes.find("fine").component("model") == "m"
    assert "bad.yaml" in refusal(lambda: recipes.find(names[0])).message


def test_the_hint_for_a_misspelt_section_or_part_is_the_right_one(write: Write) -> None:
    section, part = write("s.yaml", "recipe: {}\n"), write("p.yaml", "recipes: {a: {modle: {}}}\n")
    assert refusal(lambda: Recipes([], [section]).names()).hint == "Did you mean 'recipes'?"
    assert refusal(lambda: Recipes([], [part]).find("a")).hint == "Did you mean 'model'?"


def test_an_unreadable_file_is_named_with_the_reason(write: Write, tmp_path: Path) -> None:
    assert str(refusal(lambda: read_yaml(Path("none.yaml")))) == (
        "none.yaml could not be read: No such file or directory.\n  Check the name and its permissions."
    )
    assert "Is a directory" in refusal(lambda: read_yaml(tmp_path)).message
    binary = write("binary.yaml", "")
    binary.write_bytes(b"\xff\xfe\x00")
    assert isinstance(refusal(lambda: read_yaml(binary)), BadFile)


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_a_file_without_read_permission_is_named_with_the_reason(write: Write) -> None:
    secret = write("secret.yaml", "recipes: {}\n")
    secret.chmod(0)
    assert "Permission denied" in refusal(lambda: read_yaml(secret)).message


def test_an_empty_file_contains_no_recipes(write: Write) -> None:
    files = [write("a.yaml", ""), write("b.yaml", "# soon\n"), write("c.yaml", "recipes:\n")]
    assert Recipes([], files).names() == []


def test_a_summary_that_yaml_reads_as_a_number_should_be_quoted(write: Write) -> None:
    number = write("a.yaml", "recipes: {a: {summary: 2026}}\n")
    assert refusal(lambda: Recipes([], [number]).find("a")).hint == "Put it in quotes."
    text = write("b.yaml", "recipes: {a: {summary: '2026'}}\n")
    assert Recipes([], [text]).find("a").summary == "2026"


def test_a_config_file_is_checked_like_a_recipe(write: Write) -> None:
    assert "'../up' is not a valid name" in refusal(lambda: read_config(write("a.yaml", "recipe: ../up\n"))).message
    error = refusal(lambda: read_config(write("b.yaml", "recipe: b\n\nmodle: {}\n")))
    assert str(error) == "b.yaml:3: recipe 'b' has no part 'modle'.\n  Did you mean 'model'?"
