"""A registry.yaml in the working folder that overrides an installed name says so at every use."""

from __future__ import annotations

import hashlib
import shutil
import warnings
from contextlib import suppress
from pathlib import Path

import pytest

import zoo_core as zoo
from zoo_core.registry.catalog import Catalog, default
from zoo_core.testing import cases

RECIPES = """
recipes:
  digit-classifier-mnist:
    run: {steps: 1}
  zoo/lsgan-mnist:
    extends: gan-mnist
  clsgan-mnist:
    extends: clsgan-mnist-quick
  mine:
    extends: digit-classifier-mnist
"""
WEIGHTS = """
weights:
  digit-classifier-mnist: {location: other.safetensors, sha256: SHA, license: MIT, model: digit-classifier}
  unet/unet-moving-mnist: {alias: unet-digit-scenes}
  other: {alias: clsgan-mnist}
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def local(folder: Path) -> Path:
    """The working folder has a registry that overrides recipes and weights."""
    entry = Catalog().published("digit-classifier-mnist")
    shutil.copy(entry.path, folder / "other.safetensors")
    sha256 = hashlib.sha256((folder / "other.safetensors").read_bytes()).hexdigest()
    (folder / "registry.yaml").write_text(RECIPES + WEIGHTS.replace("SHA", sha256))
    return folder / "registry.yaml"


def warned(use, *arguments: object) -> list[str]:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        with suppress(zoo.ZooError):
            use(*arguments)
    return [str(one.message) for one in caught]


@pytest.mark.parametrize(
    ("name", "line", "instead"),
    [
        ("digit-classifier-mnist", "3", ", which is 'zoo/digit-classifier-mnist'"),
        ("zoo/lsgan-mnist", "5", ""),
        ("clsgan-mnist", "7", ", which is 'zoo/clsgan-mnist'"),  # a circle
        ("cgan-mnist", "2", ""),  # extends clsgan-mnist
        ("zoo/cgan-mnist", "2", ""),
    ],
)
def test_every_use_of_an_overridden_recipe_warns_with_file_and_line(
    local: Path, name: str, line: str, instead: str
) -> None:
    catalog = Catalog()
    message = f"registry.yaml:{line} in the working folder overrides the installed recipe '{name}'{instead}."
    for _ in range(2):
        assert warned(catalog.recipe, name) == [message]


@pytest.mark.parametrize("words", [(), ("run.batch_size=8",), ("run.batch_size=8", "dataset.source=subset")])
def test_the_checks_of_an_overridden_recipe_warn_once(local: Path, words: tuple[str, ...]) -> None:
    catalog = Catalog()
    (message,) = warned(cases, "digit-classifier-mnist", words, catalog)
    assert message.startswith("registry.yaml:3 in the working folder overrides the installed recipe 'digit-classifier")
    assert len(warned(cases, "clsgan-mnist", (), catalog)) == 1  # a circle
    assert warned(cases, "unet-digit-scenes", words, catalog) == warned(cases, "mnist", (), catalog) == []
    names = [name for owner, name in catalog.recipes.names() if owner == "zoo"]
    assert warned(cases, "zoo", (), catalog) == [one for name in names for one in warned(catalog.recipe, f"zoo/{name}")]


@pytest.mark.parametrize("name", ["unet-digit-scenes", "mine", "zoo/clsgan-mnist", "zoo/digit-classifier-mnist"])
def test_other_recipes_do_not_warn(local: Path, name: str) -> None:
    assert warned(Catalog().recipe, name) == []


@pytest.mark.parametrize(
    ("name", "message"),
    [
        (
            "digit-classifier-mnist",
            "registry.yaml:13 in the working folder overrides the installed weights 'digit-classifier-mnist', "
            "which are 'classifier/digit-classifier-mnist'.",
        ),
        (
            "unet/unet-moving-mnist",
            "registry.yaml:14 in the working folder overrides the installed weights 'unet/unet-moving-mnist'.",
        ),
    ],
)
def test_every_use_of_overridden_weights_warns(local: Path, name: str, message: str) -> None:
    catalog = Catalog()
    assert warned(catalog.published, name) == [message]
    assert message in warned(catalog.info, name)
    default.cache_clear()
    assert message in warned(zoo.load, name)
    default.cache_clear()


@pytest.mark.parametrize("name", ["classifier/digit-classifier-mnist", "unet-digit-scenes", "other", "clsgan-mnist"])
def test_other_weights_do_not_warn(local: Path, name: str) -> None:
    assert warned(Catalog().published, name) == []


def test_a_registry_that_was_given_or_that_is_in_the_home_folder_does_not_warn(
    local: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert warned(Catalog([local]).recipe, "digit-classifier-mnist") == []
    assert warned(Catalog([Path("registry.yaml")]).published, "digit-classifier-mnist") == []
    monkeypatch.setenv("ZOO_HOME", str(folder))
    assert warned(Catalog().recipe, "digit-classifier-mnist") == []


def test_the_name_of_a_recipe_in_the_home_folder_is_an_installed_one(
    folder: Path, zoo_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (zoo_home / "registry.yaml").write_text("recipes:\n  mine:\n    extends: digit-classifier-mnist\n")
    (folder / "registry.yaml").write_text("recipes:\n  mine:\n    run: {seed: 5}\n")
    assert len(warned(Catalog().recipe, "mine")) == 1


def test_an_entry_that_changes_nothing_and_the_file_of_the_plugin_itself_do_not_warn(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = next(path for plugin, path in Catalog().registry.recipe_files if plugin == "zoo")
    monkeypatch.chdir(own.parent)
    catalog = Catalog()
    assert warned(catalog.recipe, "clsgan-mnist") == []
    assert not any("file" in row for row in catalog.rows("recipes"))
    monkeypatch.chdir(folder)
    shutil.copy(own, folder / "registry.yaml")
    assert warned(Catalog().recipe, "clsgan-mnist") == []


def test_lists_show_the_file_that_a_name_comes_from(local: Path) -> None:
    catalog = Catalog()
    files = {row["name"]: row.get("file", "") for row in catalog.rows("recipes")}
    changed = {name for name, file in files.items() if file == "registry.yaml"}
    assert {"digit-classifier-mnist", "clsgan-mnist", "cgan-mnist", "lsgan-mnist"} <= changed
    assert files["unet-digit-scenes"] == files["mine"] == files["unet-frames"] == ""
    weights = {row["name"]: (row["plugin"], row.get("file", "")) for row in catalog.rows("weights")}
    assert weights["digit-classifier-mnist"] == ("yours", "registry.yaml")
    assert weights["classifier/digit-classifier-mnist"] == ("classifier", "")
    assert weights["unet/unet-moving-mnist"] == ("yours", "registry.yaml")
    assert (weights["clsgan-mnist"], weights["other"]) == (("clsgan", ""), ("yours", ""))
