"""The catalog: finding, listing and describing everything that has a name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import zoo_core as zoo
from zoo_core.config.recipe_files import PARTS
from zoo_core.errors import NameTaken, UnknownName, ZooError
from zoo_core.registry import catalog
from zoo_core.registry.catalog import Catalog

TARGETS = {"model": "tiny:Line", "dataset": "tiny:Points", "trainer": "tiny:LineTrainer"}


class Offers:
    """A plugin that registers the given kinds and recipes."""

    def __init__(self, kinds: tuple[str, ...] = (), recipes: Path | None = None) -> None:
        self.kinds, self.recipes = kinds, recipes

    @zoo.hookimpl
    def zoo_register(self, registry: zoo.Registry) -> None:
        for kind in self.kinds:
            getattr(registry, kind)("thing", TARGETS[kind], summary=f"A {kind}")
        if self.recipes:
            registry.recipes(self.recipes)


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave the checkout, whose registry.yaml would count as the user's."""
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def shipped() -> Catalog:
    return Catalog()


def write(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


def test_bundled_components_and_recipes_are_found_by_name(shipped: Catalog) -> None:
    assert shipped.find("model", "clsgan").full_name == "clsgan/clsgan"
    assert shipped.find("dataset", "mnist").plugin == "datasets"
    recipe = shipped.recipe("clsgan-mnist", "run.steps=7")
    assert (recipe.component("trainer"), recipe.run_settings().steps) == ("clsgan", 7)


def test_rows_have_name_plugin_and_summary_and_are_sorted_by_name(shipped: Catalog) -> None:
    rows = shipped.rows("recipes")

    assert [row["name"] for row in rows] == sorted(row["name"] for row in rows)
    assert {row["plugin"] for row in rows} == {"zoo"}
    expected = {"clsgan-mnist", "clsgan-mnist-reference", "cgan-mnist", "lsgan-mnist", "gan-mnist"}
    assert expected | {"digit-classifier-mnist"} <= {row["name"] for row in rows}
    assert all(row["summary"] for row in rows)


@pytest.mark.parametrize("kind", ["models", "trainers", "datasets"])
def test_a_kind_may_be_given_in_singular_and_plural(shipped: Catalog, kind: str) -> None:
    assert shipped.rows(kind) == shipped.rows(kind.removesuffix("s"))
    assert set(shipped.rows(kind)[0]) == {"name", "plugin", "tags", "summary"}


def test_an_unknown_kind_lists_the_kinds(shipped: Catalog) -> None:
    with pytest.raises(UnknownName) as raised:
        shipped.rows("modles")
    assert str(raised.value) == (
        "can't list 'modles'.\n"
        "  Choose from recipes, models, trainers, datasets, tasks, loggers, optimizers, schedules, "
        "weights, plugins."
    )


def test_weights_are_listed_with_their_plugin(tmp_path: Path) -> None:
    mine = write(
        tmp_path / "mine.yaml",
        f"""
weights:
  my-digits: {{summary: Mine, location: a.safetensors, sha256: {"a" * 64}, license: MIT}}
  digits: {{alias: my-digits}}
  bad-digits: {{location: a.safetensors, license: MIT}}
""",
    )

    rows = {row["name"]: row for row in Catalog([mine]).rows("weights")}

    assert rows["my-digits"] == {"name": "my-digits", "plugin": "yours", "tags": "", "summary": "Mine"}
    assert rows["digits"]["summary"] == "the same as my-digits"
    assert rows["bad-digits"]["summary"] == "(broken: mine.yaml:5: weights 'bad-digits' have no sha256.)"
    assert rows["digit-classifier-mnist"]["plugin"] != "yours"


def test_info_of_weights_contains_location_and_metrics(tmp_path: Path) -> None:
    entry = f"{{location: a.safetensors, sha256: {'a' * 64}, license: MIT, metrics: {{error: 0.25}}, model: clsgan}}"
    mine = write(tmp_path / "mine.yaml", f"weights:\n  my-digits: {entry}\n")

    described = Catalog([mine]).info("my-digits")["weights"]

    assert (described["name"], described["location"], described["license"], described["model"]) == (
        "my-digits", "a.safetensors", "MIT", "clsgan",
    )  # fmt: skip
    assert described["metrics"] == {"error": 0.25}
    assert "deprecated" not in described


def test_recipes_of_the_user_are_listed_as_yours(tmp_path: Path) -> None:
    mine = write(tmp_path / "mine.yaml", "recipes:\n  small: {summary: Small, extends: clsgan-mnist}\n")

    (row,) = [row for row in Catalog([mine]).rows("recipes") if row["name"] == "small"]

    assert row == {"name": "small", "plugin": "yours", "tags": "gan generation image digits", "summary": "Small"}


def test_a_broken_recipe_is_listed_with_its_error_among_the_others(tmp_path: Path) -> None:
    mine = write(tmp_path / "mine.yaml", "recipes:\n  bad: {extends: nowhere-to-be-found}\n")

    summaries = {row["name"]: row["summary"] for row in Catalog([mine]).rows("recipes")}

    assert summaries["bad"].startswith("(broken: ")
    assert "mine.yaml:2: no recipe is called 'nowhere-to-be-found'" in summaries["bad"]
    assert summaries["clsgan-mnist"].startswith("Class-conditional digit generation")


def test_info_of_a_recipe_warns_of_malformed_weights_of_its_name_and_the_other_way_round(tmp_path: Path) -> None:
    good = "extends: digit-classifier-mnist, summary: Mine"
    file = tmp_path / "mine.yaml"
    file.write_text(f"recipes:\n  mine: {{{good}}}\nweights:\n  mine: 5\n")
    with pytest.warns(UserWarning, match=r"weights\.mine is 5, but should be a mapping"):
        assert list(Catalog([file]).info("mine")) == ["recipe"]
    file.write_text("weights:\n  mine: 5\n")
    with pytest.raises(ZooError, match=r"weights\.mine is 5, but should be a mapping"):
        Catalog([file]).info("mine")


def test_info_of_a_recipe_contains_every_value_and_its_origin(shipped: Catalog) -> None:
    recipe = shipped.info("clsgan-mnist-quick")["recipe"]
    settings = {setting["key"]: setting for setting in recipe["settings"]}

    assert recipe["plugin"] == "zoo"
    assert settings["run.steps"]["value"] == 400
    assert settings["run.batch_size"]["value"] == shipped.recipe("clsgan-mnist").run_settings().batch_size
    own, inherited = (settings[key]["set in"].rpartition(":") for key in ("run.steps", "run.batch_size"))
    assert Path(own[0]).name == Path(inherited[0]).name == "registry.yaml"
    assert int(own[2]) > int(inherited[2])


def test_info_of_a_recipe_describes_every_setting_of_its_parts(shipped: Catalog) -> None:
    settings = {setting["key"]: setting for setting in shipped.info("clsgan-mnist")["recipe"]["settings"]}

    parts = {f"{kind}.{one['name']}": one for kind in PARTS for one in _parts_of(shipped, "clsgan-mnist", kind)}
    assert len(parts) > 20
    for key, described in parts.items():
        assert {name: settings[key][name] for name in ("type", "default", "help")} == {
            name: described[name] for name in ("type", "default", "help")
        }
    assert settings["model.latent_dim"]["value"] == settings["model.latent_dim"]["default"] == 96
    assert settings["model.latent_dim"]["set in"] == ""
    assert (settings["model.sigmoid"]["value"], settings["model.sigmoid"]["default"]) == (False, True)
    assert settings["run.precision"]["type"] == "one of float32, tf32, bfloat16, float16, auto"


def _parts_of(shipped: Catalog, recipe: str, kind: str) -> list[dict[str, Any]]:
    name = shipped.recipe(recipe).component(kind)
    found: list[dict[str, Any]] = shipped.info(name)[kind]["settings"]
    return found


def test_info_of_a_recipe_reports_missing_parts(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text("recipes: {mine: {model: {name: gone, size: 3}, run: {steps: 5}}}")

    recipe = Catalog([tmp_path / "mine.yaml"]).info("mine")["recipe"]

    assert "no model is called 'gone'" in recipe["incomplete"]
    assert "has no trainer" in recipe["incomplete"]
    settings = {setting["key"]: setting for setting in recipe["settings"]}
    assert settings["model.size"]["value"] == 3
    assert settings["run.steps"]["help"].startswith("optimizer steps")


def test_info_of_a_model_contains_paper_settings_and_parameters(shipped: Catalog) -> None:
    described = shipped.info("clsgan")

    assert set(described) == {"model", "trainer"}
    model = described["model"]
    assert "Mao et al. 2017" in model["paper"]
    assert model["license"] == "Apache-2.0"
    assert model["parameters"] == 1_523_024 + 626_625
    latent = next(setting for setting in model["settings"] if setting["name"] == "latent_dim")
    assert (latent["type"], latent["default"]) == ("int", 96)
    assert all(setting["help"] for setting in model["settings"] + described["trainer"]["settings"])
    assert described["trainer"]["settings"]


def test_info_accepts_a_full_name(shipped: Catalog) -> None:
    assert set(shipped.info("datasets/mnist")) == {"dataset"}
    assert shipped.info("zoo/clsgan-mnist")["recipe"]["name"] == "clsgan-mnist"


def test_the_hint_for_an_unknown_name_is_the_most_similar_of_all_names(shipped: Catalog) -> None:
    with pytest.raises(UnknownName) as raised:
        shipped.info("clsgan-mnits")
    assert str(raised.value) == "nothing is called 'clsgan-mnits'.\n  Did you mean 'clsgan-mnist'?"


def test_the_hint_for_a_name_of_two_plugins_is_how_to_choose() -> None:
    both = Catalog(installed=False)
    both.plugins.add("left", Offers(("dataset",)))
    both.plugins.add("right", Offers(("dataset", "trainer")))

    with pytest.raises(NameTaken) as raised:
        both.info("thing")

    assert raised.value.message == "2 plugins offer a dataset called 'thing'."
    assert raised.value.hint == "Write 'left/thing' or 'right/thing'."
    assert set(both.info("right/thing")) == {"dataset", "trainer"}
    assert both.info("left/thing")["dataset"]["class"] == "tiny:Points"


def test_recipes_of_a_plugin_that_is_added_later_are_found(tmp_path: Path) -> None:
    empty = Catalog(installed=False)
    assert empty.rows("recipes") == []
    recipes = write(tmp_path / "late.yaml", "recipes:\n  late: {summary: Late, model: {name: thing}}\n")

    empty.plugins.add("late", Offers(("model",), recipes))

    assert empty.recipe("late").component("model") == "thing"


def test_a_catalog_without_installed_plugins_has_what_zoo_itself_offers() -> None:
    empty = Catalog(installed=False)
    assert {entry.plugin for entry in empty.registry.entries} == {"zoo-core"}
    assert empty.plugins.infos == []


def test_zoo_list_in_python_equals_the_command() -> None:
    catalog.default.cache_clear()
    assert zoo.list() == [row["name"] for row in Catalog().rows("recipes")]
    assert zoo.list("models", "cls*") == ["clsgan"]
    assert zoo.list("recipes", "*-quick") == ["clsgan-mnist-quick"]
    assert zoo.recipe("gan-mnist", "run.seed=3").run_settings().seed == 3
