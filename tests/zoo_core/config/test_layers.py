"""Recipes: files that override others, recipes that extend others, and the origin of each value."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from zoo_core.config.layers import Recipes, user_files
from zoo_core.config.recipe import Recipe, read_config
from zoo_core.config.recipe_files import read_yaml
from zoo_core.errors import BadSetting, NameTaken, UnknownName, ZooError

BASE = """\
recipes:
  base:
    summary: The first
    model: {name: net, width: 8, layers: [1, 2, 3]}
    dataset: {name: digits}
    trainer:
      name: adam
      rate: 0.1
    run: {steps: 100, seed: 1}
  child:
    summary: The second
    extends: base
    trainer:
      rate: 0.2
    run: {epochs: 3}
"""
Write = Callable[[str, str], Path]


def refusal(call: Callable[[], Any]) -> ZooError:
    with pytest.raises(ZooError) as raised:
        call()
    return raised.value


def test_a_recipe_consists_of_plain_python_values(write: Write) -> None:
    recipe = Recipes([("zoo", write("base.yaml", BASE))]).find("base")

    assert (recipe.name, recipe.plugin, recipe.summary) == ("base", "zoo", "The first")
    assert recipe.component("model") == "net"
    assert recipe.settings("model") == {"width": 8, "layers": [1, 2, 3]}
    assert type(recipe.settings("model")["layers"]) is list
    assert (recipe.run_settings().steps, recipe.run_settings().seed) == (100, 1)


def test_a_recipe_that_extends_another_changes_only_its_own_keys(write: Write) -> None:
    recipes = Recipes([("zoo", write("base.yaml", BASE))])
    child = recipes.find("child")

    assert child.summary == "The second"
    assert child.values["trainer"] == {"name": "adam", "rate": 0.2}
    assert child.values["model"] == {"name": "net", "width": 8, "layers": [1, 2, 3]}
    assert "extends" not in child.values
    assert recipes.find("base").values["trainer"]["rate"] == 0.1


def test_a_recipe_does_not_inherit_the_summary(write: Write) -> None:
    path = write("mine.yaml", "recipes:\n  quiet: {extends: base}\n")
    assert Recipes([("zoo", write("base.yaml", BASE))], [path]).find("quiet").summary == ""


def test_later_files_override_earlier_ones(write: Write) -> None:
    plugin = write("base.yaml", BASE)
    user = write("user.yaml", "recipes:\n  base:\n    trainer: {rate: 0.3}\n    model: {width: 16}\n")
    additional = write("additional.yaml", "recipes:\n  base:\n    trainer: {rate: 0.4}\n")

    recipe = Recipes([("zoo", plugin)], [user, additional]).find("base").with_overrides(["run.seed=9", "run.seed=10"])

    assert recipe.values["trainer"] == {"name": "adam", "rate": 0.4}
    assert recipe.values["model"]["width"] == 16
    assert recipe.run_settings().seed == 10
    assert recipe.plugin == "zoo"
    origins = {key: str(recipe.sources[tuple(key.split("."))]) for key in ("trainer.rate", "model.width", "run.seed")}
    assert origins == {"trainer.rate": "additional.yaml:3", "model.width": "user.yaml:4", "run.seed": "command line"}
    assert str(recipe.sources["trainer", "name"]) == "base.yaml:7"


def test_the_users_files_are_in_zoo_home_then_the_working_directory_then_given_ones(
    write: Write, zoo_home: Path, tmp_path: Path
) -> None:
    assert user_files() == []
    (zoo_home / "registry.yaml").write_text("")
    write("registry.yaml", "")

    folder = Path.cwd()
    assert user_files([Path("more.yaml")]) == [
        zoo_home / "registry.yaml",
        folder / "registry.yaml",
        folder / "more.yaml",
    ]


def test_a_program_that_changes_its_working_directory_keeps_its_recipes(write, zoo_home, tmp_path_factory, monkeypatch):
    write("registry.yaml", "recipes: {mine: {model: {name: x}}}\n")
    recipes = Recipes([], user_files())
    monkeypatch.chdir(tmp_path_factory.mktemp("elsewhere"))
    assert recipes.find("mine").component("model") == "x"


def test_lists_are_replaced_and_mappings_merged(write: Write) -> None:
    base = "recipes:\n  a:\n    model: {name: net, sizes: [1, 2, 3], mix: {x: 1, y: 2}}\n"
    over = "recipes:\n  a:\n    model: {sizes: [9], mix: {y: 3, z: 4}}\n"

    recipe = Recipes([("zoo", write("a.yaml", base))], [write("b.yaml", over)]).find("a")

    assert recipe.settings("model") == {"sizes": [9], "mix": {"x": 1, "y": 3, "z": 4}}


def test_another_name_drops_the_settings_of_the_old_part(write: Write) -> None:
    over = write("over.yaml", "recipes:\n  base:\n    model: {name: other, depth: 2}\n")

    recipe = Recipes([("zoo", write("base.yaml", BASE))], [over]).find("base")

    assert recipe.values["model"] == {"name": "other", "depth": 2}
    assert ("model", "width") not in recipe.sources
    assert recipe.with_overrides(["model.name=third"]).values["model"] == {"name": "third"}
    assert recipe.with_overrides(["model.name=other"]).values["model"] == {"name": "other", "depth": 2}


def optimized(*overrides: str) -> dict[str, Any]:
    trainer = {
        "name": "regression", "optimizer": "sgd", "optimizer_options": {"momentum": 0.9},
        "schedule": "cosine", "schedule_options": {"end": 0.1},
    }  # fmt: skip
    return Recipe("r", {"trainer": trainer}).with_overrides(overrides).settings("trainer")


def test_another_optimizer_or_schedule_drops_the_options_of_the_old_one() -> None:
    assert optimized("trainer.optimizer=adamw") == {
        "optimizer": "adamw", "schedule": "cosine", "schedule_options": {"end": 0.1},
    }  # fmt: skip
    assert "schedule_options" not in optimized("trainer.schedule=constant")
    assert optimized("trainer.optimizer=sgd")["optimizer_options"] == {"momentum": 0.9}
    own = Recipe("r", {"trainer": {"name": "regression", "optimizer_options": {"eps": 1e-6}}})
    named = own.with_overrides(["trainer.optimizer=adamw"])  # perhaps the one that the trainer has by default
    assert named.settings("trainer")["optimizer_options"] == {"eps": 1e-6}


def test_names_on_the_command_line_keep_the_settings_beside_them_in_any_order() -> None:
    words = ["trainer.optimizer_options.eps=1.0e-6", "trainer.optimizer=adamw"]
    assert optimized(*words)["optimizer_options"] == optimized(*words[::-1])["optimizer_options"] == {"eps": 1e-6}
    recipe = Recipe("r", {"model": {"name": "small", "depth": 2}})
    assert recipe.with_overrides(["model.width=3", "model.name=wide"]).settings("model") == {"width": 3}


def test_new_epochs_replace_steps_and_the_other_way_around(write: Write) -> None:
    child = Recipes([("zoo", write("base.yaml", BASE))]).find("child")

    assert (child.run_settings().steps, child.run_settings().epochs) == (None, 3.0)
    again = child.with_overrides(["run.steps=5"]).run_settings()
    assert (again.steps, again.epochs, again.seed) == (5, None, 1)


@pytest.mark.parametrize("run", ["{seed: 1}", "{steps: 5, epochs: 5}", "{steps: null}"])
def test_a_recipe_gives_either_steps_or_epochs(write: Write, run: str) -> None:
    for dataset, expected in (("", "run.steps"), ("    dataset: {name: mnist}\n", "either run.steps or run.epochs")):
        recipe = Recipes([], [write("a.yaml", f"recipes:\n  a:\n{dataset}    run: {run}\n")]).find("a")
        error = refusal(recipe.run_settings)
        assert str(error) == f"recipe 'a' should give {expected}.\n  Add `run.steps=1000`."


@pytest.mark.parametrize("epochs", ["inf", "nan", "-1"])
def test_epochs_are_finite_and_not_negative(write: Write, epochs: str) -> None:
    recipe = Recipes([("zoo", write("base.yaml", BASE))]).find("base").with_overrides([f"run.epochs={epochs}"])
    assert isinstance(refusal(recipe.run_settings), BadSetting)


@pytest.mark.parametrize(
    ("text", "chain", "line"),
    [
        ("recipes:\n  a:\n    extends: a\n", "a → a", 3),
        ("recipes:\n  a:\n    extends: b\n  b:\n    extends: a\n", "a → b → a", 5),
    ],
)
def test_the_message_for_a_recipe_that_extends_itself_shows_the_cycle(
    write: Write, text: str, chain: str, line: int
) -> None:
    error = refusal(lambda: Recipes([], [write("mine.yaml", text)]).find("a"))

    assert isinstance(error, BadSetting)
    assert error.message.startswith(f"mine.yaml:{line}: recipe '")
    assert error.message.endswith(f"extends itself: {chain}.")


def test_a_recipe_of_the_user_may_extend_that_of_a_plugin_with_the_same_name(write: Write) -> None:
    mine = write("mine.yaml", "recipes:\n  base:\n    extends: zoo/base\n    run: {seed: 7}\n")
    recipe = Recipes([("zoo", write("base.yaml", BASE))], [mine]).find("base")
    assert recipe.run_settings().seed == 7


def test_a_missing_parent_is_named_with_its_line_and_a_similar_name(write: Write) -> None:
    mine = write("mine.yaml", "recipes:\n  a:\n    summary: x\n    extends: bass\n")
    error = refusal(lambda: Recipes([("zoo", write("base.yaml", BASE))], [mine]).find("a"))

    assert isinstance(error, UnknownName)
    assert str(error) == "mine.yaml:4: no recipe is called 'bass', which 'a' extends.\n  Did you mean 'base'?"


def test_two_plugins_that_offer_one_name_are_both_named_and_both_available(write: Write) -> None:
    one = write("one.yaml", "recipes:\n  same: {summary: One}\n")
    two = write("two.yaml", "recipes:\n  same: {summary: Two}\n")
    recipes = Recipes([("left", one), ("right", two)])

    error = refusal(lambda: recipes.find("same"))

    assert isinstance(error, NameTaken)
    assert str(error) == "2 plugins offer a recipe called 'same'.\n  Write 'left/same' or 'right/same'."
    assert [recipes.find(name).summary for name in ("left/same", "right/same")] == ["One", "Two"]
    assert recipes.names() == [("left", "same"), ("right", "same")]


def test_the_user_can_override_the_recipe_of_one_of_two_plugins(write: Write) -> None:
    one = write("one.yaml", "recipes:\n  same: {run: {steps: 1}}\n")
    two = write("two.yaml", "recipes:\n  same: {run: {steps: 2}}\n")
    mine = write("mine.yaml", "recipes:\n  right/same: {run: {seed: 5}}\n")
    recipes = Recipes([("left", one), ("right", two)], [mine])

    assert recipes.find("left/same").values["run"] == {"steps": 1}
    assert recipes.find("right/same").values["run"] == {"steps": 2, "seed": 5}
    assert ("", "right/same") not in recipes.names()


def test_interpolation_is_refused_and_never_resolved(write: Write) -> None:
    text = 'recipes:\n  a:\n    run:\n      steps: "${oc.env:HOME}"\n'
    recipe = Recipes([], [write("a.yaml", text)]).find("a")

    error = refusal(recipe.run_settings)

    assert error.message == "a.yaml:4: run.steps is '${oc.env:HOME}', but recipes do not support interpolation."
    assert os.environ["HOME"] not in recipe.as_yaml()


def test_a_written_recipe_is_read_back_unchanged(write: Write) -> None:
    recipe = Recipes([("zoo", write("base.yaml", BASE))]).find("child").with_overrides(["model.layers=[4]"])

    again = read_config(write("config.yaml", recipe.as_yaml()))

    assert (again.name, again.values) == (recipe.name, recipe.values)
    assert again.where("run.epochs").startswith("config.yaml:")


@pytest.mark.parametrize(
    ("override", "message", "hint"),
    [
        ("run.steps", "'run.steps' should be key=value.", "Write for example `trainer.learning_rate=1e-4`."),
        ("run..steps=1", "'run..steps=1' should be key=value.", "Write for example `trainer.learning_rate=1e-4`."),
        ("=1", "'=1' should be key=value.", "Write for example `trainer.learning_rate=1e-4`."),
        ("steps=1", "a recipe has no setting 'steps'.", "Did you mean 'run.steps'?"),
        ("width=1", "a recipe has no setting 'width'.", "Did you mean 'model.width'?"),
        ("zzzzz=1", "a recipe has no setting 'zzzzz'.", "Keys start with run., model., dataset. or trainer."),
        ("model=net", "a recipe has no setting 'model'.", "Keys start with run., model., dataset. or trainer."),
    ],
)
def test_an_override_that_is_not_a_setting_gets_a_hint(write: Write, override: str, message: str, hint: str) -> None:
    recipe = Recipes([("zoo", write("base.yaml", BASE))]).find("base")
    error = refusal(lambda: recipe.with_overrides([override]))
    assert error.message == message
    assert (error.hint or "").startswith(hint)


def test_the_hint_for_a_part_without_a_name_is_what_to_add() -> None:
    error = refusal(lambda: Recipe("bare", {"model": {"width": 3}}).component("model"))
    assert str(error) == "recipe 'bare' has no model.\n  Add `model: {name: …}`; see `zoo list models`."


def test_the_weights_of_every_file_are_returned_with_its_path(write: Write) -> None:
    one, two = write("one.yaml", "weights: {w: {size: 1}}\n"), write("two.yaml", "weights: {w: {size: 2}}\n")
    three = write("three.yaml", "recipes: {}\n")
    assert Recipes([("left", one), ("right", three)], [two]).weights() == [
        ("left", one, {"w": {"size": 1}}),
        ("right", three, {}),
        ("", two, {"w": {"size": 2}}),
    ]


def test_recipes_that_extend_the_same_one_do_not_share_values(tmp_path):
    path = tmp_path / "registry.yaml"
    path.write_text("recipes: {base: {model: {size: 3}}, one: {extends: base}, other: {extends: base}}")
    recipes = Recipes(user_files=[path])

    recipes.find("one").values["model"]["size"] = 4

    assert [recipes.find(name).values["model"] for name in ("one", "other", "base")] == [{"size": 3}] * 3


@pytest.mark.parametrize("words", [["run.steps=3", "run.epochs=2"], ["run.epochs=2", "run.seed=1", "run.steps=3"]])
def test_two_lengths_in_one_command_are_refused(write, words):
    recipe = Recipes([("zoo", write("base.yaml", BASE))]).find("base")
    with pytest.raises(BadSetting, match="contradict each other: both state the length of the run"):
        recipe.with_overrides(words)
    assert recipe.with_overrides(["run.steps=null", "run.epochs=2"]).run_settings().epochs == 2


def test_a_seed_that_a_weights_file_could_not_state_is_refused(write):
    recipe = Recipes([("zoo", write("base.yaml", BASE))]).find("base").with_overrides([f"run.seed={2**64}"])
    with pytest.raises(BadSetting, match="should be below 9223372036854775808"):
        recipe.run_settings()


def test_a_long_chain_of_recipes_is_refused_and_the_others_are_found(write: Write) -> None:
    chain = "".join(f"  r{i}: {{extends: r{i + 1}}}\n" for i in range(3000))
    recipes = Recipes([], [write("chain.yaml", f"recipes:\n{chain}  r3000: {{summary: x}}\n")])
    error = refusal(lambda: recipes.find("r0"))
    assert error.message.startswith("chain.yaml:2")
    assert "recipe 'r0' extends one that extends another, more than 20 times." in error.message
    assert recipes.find("r2980").summary == ""
    assert len(recipes.names()) == 3001


def test_a_file_that_would_take_seconds_to_read_is_refused(write: Write, tmp_path: Path) -> None:
    sparse = write("sparse.yaml", "")
    os.truncate(sparse, 2**40)
    assert "sparse.yaml is too large: it has 1,099,511,627,776 bytes" in refusal(lambda: read_yaml(sparse)).message
    many = write("many.yaml", "recipes:\n" + "".join(f"  r{i}: {{}}\n" for i in range(10_001)))
    message = refusal(lambda: Recipes([], [many]).names()).message
    assert message == "many.yaml:1: recipes has 10,001 entries, but at most 10,000 are read."


def test_a_number_of_many_digits_is_named_with_its_line(write: Write) -> None:
    long = write("long.yaml", "recipes:\n  a:\n    run: {steps: " + 200_000 * "9" + "}\n")
    message = refusal(lambda: Recipes([], [long]).find("a")).message
    assert message == (
        "long.yaml:3: this is not YAML: 999999999…, of 200,000 digits, is not an integer that can be read."
    )
