"""A model and a dataset are checked with given settings, and with those of a recipe where the defaults are too few."""

from __future__ import annotations

import provided_plugin
import pytest
import tiny
import torch
from PIL import Image

import zoo_core as zoo
from zoo_core.cli import _exit_code
from zoo_core.errors import BadSetting
from zoo_core.registry.catalog import Catalog
from zoo_core.testing import cases
from zoo_core.testing.check import Skip, Subject
from zoo_core.testing.collect import all_checks
from zoo_core.testing.component_settings import settings_of
from zoo_core.testing.recipe_checks import accumulated, small_batch, small_recipe


class Needy(zoo.Dataset):
    """Needs a setting, and has no examples with its default."""

    class Config:
        folder: str = zoo.setting(help="a text")
        size: int = zoo.setting(0, "number of examples", ge=0)

    def train(self):
        return zoo.InMemory(x=torch.arange(float(self.config.size)))

    def test(self):
        return zoo.InMemory(x=torch.arange(100.0, 100 + self.config.size))


class Plugin:
    @zoo.hookimpl
    def zoo_register(self, registry):
        registry.dataset("needy", f"{__name__}:Needy", summary="Needy")


@pytest.fixture(scope="module")
def here() -> Catalog:
    found = Catalog(installed=False)
    found.plugins.add("tiny", tiny.Plugin())
    found.plugins.add("mine", Plugin())
    return found


@pytest.mark.parametrize("prefix", ["", "dataset."])
def test_given_settings_apply_as_they_are_typed(here, prefix):
    words = (f"{prefix}folder=/data/run #3", f"{prefix}size=4")
    outcomes = {case.check.name: case.run() for case in cases("needy", words, here)}
    assert {name: one for name, one in outcomes.items() if one.state != "passed"} == {}
    assert settings_of(Subject("dataset", "needy", here, words))["folder"].text == "/data/run #3"


def test_checks_of_a_recipe_with_the_largest_batch_that_fits_use_a_small_one(here):
    (name, *_) = [name for _, name in here.recipes.names()]
    subject = Subject("recipe", name, here, ("run.batch_size=auto", "run.grad_accumulation_steps=3"))
    assert small_recipe(subject).run_settings().batch_size == small_batch(subject) == 9


def test_a_component_with_required_settings_and_no_recipe_is_skipped(here):
    assert {case.run().state for case in cases("needy", (), here)} == {"skipped"}
    with pytest.raises(Skip, match="it has required settings: folder"):
        settings_of(Subject("dataset", "needy", here, ("size=3",)))


@pytest.mark.parametrize(
    ("word", "message", "hint"),
    [
        ("foldr=x", "'foldr=x' does not apply: the dataset 'needy' has no such setting", "Did you mean 'folder'?"),
        ("run.steps=3", "'run.steps=3' does not apply: the dataset 'needy' has no such setting", "Leave it out"),
        ("model.folder=3", "'model.folder=3' does not apply", "Did you mean 'folder'?"),
    ],
)
def test_what_is_no_setting_is_refused(here, word, message, hint):
    with pytest.raises(BadSetting, match=message) as refused:
        cases("needy", [word], here)
    assert hint in str(refused.value.hint)


def test_a_value_of_another_type_is_refused_before_the_first_check(here):
    with pytest.raises(BadSetting, match=r"model\.inputs is 'many'"):
        cases("line", ["inputs=many"], here)


def test_the_checks_of_a_model_use_its_recipe_where_the_defaults_are_not_enough():
    catalog = Catalog(installed=False)
    catalog.plugins.add("provided", provided_plugin)
    results = {case.check.name: case.run() for case in cases("linear", (), catalog)}
    assert {name: one for name, one in results.items() if one.state != "passed" and "required" in one.why} == {}
    assert settings_of(Subject("model", "linear", catalog))["columns"] == 4


@pytest.mark.parametrize(("parts", "batch"), [(1, 8), (3, 9), (4, 8)])
def test_batch_sizes_are_multiples_of_the_parts_of_the_recipe(parts, batch):
    subject = Subject("recipe", "fit", provided_plugin.catalog(), (f"run.grad_accumulation_steps={parts}",))
    assert (accumulated(subject), small_batch(subject)) == (parts, batch)
    (check,) = [one for one in all_checks() if one.name == "odd-batch-sizes-work"]
    check(subject)


def test_a_check_of_nothing_is_no_success(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert _exit_code(["check", "image-folder"]) == 2
    said = capsys.readouterr().err
    assert "error: nothing of 'image-folder' was checked: every check was skipped." in said
    assert "zoo check image-folder folder=DIR" in said
    assert _exit_code(["check", "image-folder", "folder=nowhere"]) == 2
    assert "Give other settings; the lines above say what is missing." in capsys.readouterr().err
    assert _exit_code(["check", "mnist", "--only", "nonsense"]) == 2
    assert "--only is 'nonsense'" in capsys.readouterr().err
    for number in range(12):
        folder = tmp_path / "images #1" / ("train" if number < 8 else "test") / "ab"[number % 2]
        folder.mkdir(parents=True, exist_ok=True)
        Image.new("L", (8, 8), 20 * number).save(folder / f"{number}.png")
    assert _exit_code(["check", "image-folder", f"folder={tmp_path / 'images #1'}"]) == 0
    assert "5 passed" in capsys.readouterr().out
