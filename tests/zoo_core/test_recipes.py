"""Recipes: layers of YAML, later wins, and a mistake is found in its file and line."""

from __future__ import annotations

from pathlib import Path

import pytest

from zoo_core.errors import BadFile, BadSetting, NameTaken, UnknownName, ZooError
from zoo_core.recipes import Recipes, user_files

SHIPPED = """
recipes:
  base:
    summary: The base
    model: {name: net, width: 8, deep: {a: 1, b: 2}, sizes: [1, 2]}
    dataset: {name: digits}
    trainer: {name: adam, rate: 0.1}
    run: {steps: 100}
"""


def recipes(folder: Path, user: str = "", other: str = "") -> Recipes:
    (folder / "shipped.yaml").write_text(SHIPPED)
    (folder / "user.yaml").write_text(user)
    (folder / "other.yaml").write_text(other)
    plugin_files = [("zoo", folder / "shipped.yaml"), ("other", folder / "other.yaml")]
    return Recipes(plugin_files, [folder / "user.yaml"])


def test_a_later_file_is_laid_over_an_earlier_one_value_by_value(tmp_path: Path) -> None:
    recipe = recipes(tmp_path, "recipes: {base: {model: {deep: {b: 3}, sizes: [9]}}}").find("base")

    assert recipe.settings("model") == {"width": 8, "deep": {"a": 1, "b": 3}, "sizes": [9]}
    assert recipe.settings("trainer") == {"rate": 0.1}


def test_the_command_line_wins_over_every_file(tmp_path: Path) -> None:
    recipe = recipes(tmp_path, "recipes: {base: {trainer: {rate: 0.2}}}").find("base")
    recipe = recipe.with_overrides(["trainer.rate=0.3", "trainer.rate=1e-4", "model.sizes=[4]"])

    assert recipe.settings("trainer") == {"rate": 1e-4}
    assert recipe.settings("model")["sizes"] == [4]


def test_extends_lays_a_recipe_over_another_and_keeps_its_own_summary(tmp_path: Path) -> None:
    recipe = recipes(tmp_path, "recipes: {mine: {extends: base, summary: Mine, model: {width: 16}}}").find("mine")

    assert (recipe.summary, recipe.settings("model")["width"], recipe.settings("run")) == ("Mine", 16, {"steps": 100})


def test_another_name_drops_the_settings_of_the_part(tmp_path: Path) -> None:
    recipe = recipes(tmp_path, "recipes: {mine: {extends: base, model: {name: tiny}}}").find("mine")

    assert recipe.values["model"] == {"name": "tiny"}


def test_of_steps_and_epochs_the_newer_wins(tmp_path: Path) -> None:
    recipe = recipes(tmp_path).find("base")

    assert recipe.with_overrides(["run.epochs=2"]).run_settings().steps is None
    assert recipe.with_overrides(["run.epochs=2", "run.steps=7"]).run_settings().epochs is None


def test_where_each_value_was_set_is_known_to_the_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    recipe = recipes(tmp_path, "recipes:\n  base:\n    trainer:\n      rate: 0.2\n").find("base")

    assert recipe.where("trainer.rate") == "user.yaml:4: "
    assert recipe.where("model.width") == "shipped.yaml:5: "
    assert recipe.with_overrides(["trainer.rate=1"]).where("trainer.rate") == ""


def test_two_plugins_with_one_recipe_name_are_told_apart_by_their_full_names(tmp_path: Path) -> None:
    both = recipes(tmp_path, other="recipes: {base: {summary: Other, model: {name: other}}}")

    with pytest.raises(NameTaken) as caught:
        both.find("base")
    assert caught.value.cure == "Write 'zoo/base' or 'other/base'."
    assert both.find("other/base").summary == "Other"


@pytest.mark.parametrize(
    ("user", "name", "kind", "words"),
    [
        ("recipes: {a: {extends: b}, b: {extends: a}}", "a", BadSetting, "extends itself: a → b → a"),
        ("recipes: {a: {extends: a}}", "a", BadSetting, "extends itself: a → a"),
        ("recipes:\n  a:\n    extends: nope\n", "a", UnknownName, "user.yaml:3: no recipe is called 'nope'"),
        ("recipes:\n  a:\n    modle: {}\n", "a", BadSetting, "user.yaml:3: recipe 'a' has no part 'modle'"),
        ("recipes:\n  a:\n    model: net\n", "a", BadSetting, "user.yaml:3: model is 'net', but should be a mapping"),
        ("recipe: {}", "a", BadSetting, "user.yaml:1: a registry has no section 'recipe'"),
        ("recipes: [", "a", BadFile, "this is not YAML"),
        ("recipes:\n  a: {}\n  a: {}\n", "a", BadFile, "user.yaml:3: this is not YAML: found duplicate key a"),
        ("- 1", "a", BadFile, "user.yaml holds a list, but should hold a mapping"),
        ("", "bse", UnknownName, "no recipe is called 'bse'"),
    ],
)
def test_a_file_that_is_wrong_says_what_and_where(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, user: str, name: str, kind: type[ZooError], words: str
) -> None:
    monkeypatch.chdir(tmp_path)

    with pytest.raises(kind) as caught:
        recipes(tmp_path, user).find(name)

    assert words in caught.value.problem


def test_the_users_layers_are_home_then_folder_then_those_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ZOO_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "home").mkdir(exist_ok=True)
    (tmp_path / "home" / "registry.yaml").write_text("recipes: {}")
    (tmp_path / "registry.yaml").write_text("recipes: {}")

    files = user_files([Path("named.yaml")])

    assert files == [tmp_path / "home" / "registry.yaml", Path("registry.yaml"), Path("named.yaml")]


def test_an_override_without_a_part_names_the_setting_it_may_mean(tmp_path: Path) -> None:
    recipe = recipes(tmp_path).find("base")

    for word, cure in (("rate=1", "'trainer.rate'"), ("steps=5", "'run.steps'"), ("trainer.rate", "key=value")):
        with pytest.raises(BadSetting) as caught:
            recipe.with_overrides([word])
        assert cure in str(caught.value)
