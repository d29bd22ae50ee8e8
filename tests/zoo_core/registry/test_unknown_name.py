"""A name that is not known here, but in the user's index of plugins: the error says what to install."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from distributions import good, install
from weights_server import Server

import zoo_core as zoo
from zoo_core.registry.catalog import Catalog, default

NERF = {
    "requirement": "zoo-nerf>=1.2",
    "plugins": ["nerf"],
    "provides": {"recipes": ["zip-nerf"], "models": ["nerf/*"], "optimizers": ["velo"], "weights": ["zip-nerf-garden"]},
}


@pytest.fixture
def write_index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Path]:
    """Write an index of these entries, and make it the user's."""

    def write_index(*entries: Any) -> Path:
        path = tmp_path / "plugins.json"
        path.write_text(json.dumps({"format": 1, "plugins": entries}))
        monkeypatch.setenv("ZOO_PLUGIN_INDEX", str(path))
        return path

    return write_index


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder for distributions, in which they are found."""
    folder = tmp_path / "site"
    folder.mkdir()
    monkeypatch.syspath_prepend(folder)
    default.cache_clear()
    yield folder
    default.cache_clear()
    for name in ("nerf", "gone"):
        sys.modules.pop(name, None)


LOOKUPS: dict[str, tuple[Callable[[Catalog], object], str]] = {
    "recipe": (lambda here: here.recipe("zip-nerf"), "no recipe is called 'zip-nerf'."),
    "recipe of the plugin": (lambda here: here.recipe("nerf/zip-nerf"), "no recipe is called 'nerf/zip-nerf'."),
    "model": (lambda here: here.find("model", "nerf/mip"), "no model is called 'nerf/mip'."),
    "optimizer": (lambda here: here.find("optimizer", "velo"), "no optimizer is called 'velo'."),
    "weights": (lambda here: here.published("zip-nerf-garden"), "no weights are called 'zip-nerf-garden'."),
    "info": (lambda here: here.info("zip-nerf"), "nothing is called 'zip-nerf'."),
    "run": (lambda here: zoo.run("zip-nerf"), "no recipe is called 'zip-nerf'."),
    "build": (lambda here: zoo.build("nerf/mip"), "no model is called 'nerf/mip'."),
    "load": (lambda here: zoo.load("zip-nerf-garden"), "no weights are called 'zip-nerf-garden'."),
}


@pytest.mark.parametrize("way", LOOKUPS)
def test_the_error_says_which_distribution_brings_a_name_and_what_to_type(
    way: str, write_index: Callable[..., Path]
) -> None:
    path = write_index(NERF)
    look_up, message = LOOKUPS[way]
    with pytest.raises(zoo.UnknownName) as caught:
        look_up(Catalog())
    said = f"{message} According to the plugin index {path}, the distribution 'zoo-nerf' brings the "
    assert caught.value.message.startswith(said)
    assert caught.value.hint == "Install it: pip install 'zoo-nerf>=1.2'"


def test_the_name_is_that_of_the_missing_recipe_where_another_one_extends_it(
    write_index: Callable[..., Path], tmp_path: Path
) -> None:
    write_index(NERF)
    (tmp_path / "mine.yaml").write_text("recipes:\n  mine: {extends: middle}\n  middle: {extends: zip-nerf}\n")
    with pytest.raises(zoo.UnknownName, match=r"mine\.yaml:2: .*mine\.yaml:3: no recipe is called 'zip-nerf'") as error:
        Catalog([tmp_path / "mine.yaml"]).recipe("mine")
    assert error.value.hint == "Install it: pip install 'zoo-nerf>=1.2'"


def test_several_distributions_that_bring_a_name_are_all_named(write_index: Callable[..., Path]) -> None:
    write_index(NERF, {**NERF, "requirement": "other-nerf"})
    with pytest.raises(zoo.UnknownName, match="the distributions 'zoo-nerf' and 'other-nerf' bring it") as caught:
        Catalog().recipe("zip-nerf")
    assert caught.value.hint == "Install it: pip install 'zoo-nerf>=1.2' or pip install other-nerf"


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("zip-nrf", "Did you mean 'zip-nerf', which 'zoo-nerf' brings? Install it: pip install 'zoo-nerf>=1.2'"),
        ("clsgan-mnits", "Did you mean 'clsgan-mnist'?"),
        ("nothing-similar", "`zoo list` shows all"),
    ],
)
def test_a_misspelled_name_gets_the_nearest_one_of_both(name: str, hint: str, write_index: Callable[..., Path]) -> None:
    write_index(NERF)
    with pytest.raises(zoo.UnknownName) as caught:
        Catalog().recipe(name)
    assert caught.value.message == f"no recipe is called '{name}'."
    assert (caught.value.hint or "").startswith(hint)


def test_an_older_version_that_is_installed_is_mentioned(write_index: Callable[..., Path], site: Path) -> None:
    install(site, "nerf", good("nerf"))
    write_index({**NERF, "requirement": "zoo-nerf>=1.3"})
    with pytest.raises(zoo.UnknownName, match=r"of this name, but not its installed version 1\.2\.") as caught:
        Catalog().recipe("zip-nerf")
    assert caught.value.hint == "Install it: pip install 'zoo-nerf>=1.3'"


def test_what_is_installed_as_asked_for_is_not_to_be_installed(write_index: Callable[..., Path], site: Path) -> None:
    install(site, "nerf", good("nerf"))
    write_index(NERF)
    with pytest.raises(zoo.UnknownName) as caught:
        Catalog().find("model", "nerf/mip")
    assert "pip install" not in str(caught.value)


def test_a_plugin_that_is_installed_but_disabled_or_broken_is_not_to_be_installed(
    write_index: Callable[..., Path], site: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(site, "gone", "raise ValueError('no license')", name="rays", distribution="zoo-nerf")
    write_index({**NERF, "plugins": ["rays"]})
    with pytest.raises(zoo.BrokenPlugin, match="'rays' is installed but did not load: ValueError: no license"):
        Catalog().recipe("zip-nerf")
    monkeypatch.setenv("ZOO_DISABLE_PLUGINS", "rays")
    with pytest.raises(zoo.UnknownName, match="The plugin 'rays' is disabled"):
        Catalog().recipe("zip-nerf")


@pytest.mark.parametrize("content", ["{", "[]", '{"format": 1, "plugins": [{"requirement": "--pre x"}]}'])
def test_a_broken_index_adds_its_reason_to_the_error_and_affects_no_known_name(
    content: str, write_index: Callable[..., Path]
) -> None:
    write_index().write_text(content)
    here = Catalog()
    assert here.recipe("clsgan-mnist").name == "clsgan-mnist"
    with pytest.raises(zoo.UnknownName, match=r"no recipe is called 'zip-nerf'\. The plugin index .*plugins") as caught:
        here.recipe("zip-nerf")
    assert caught.value.hint == "Ask its author to correct it, or unset ZOO_PLUGIN_INDEX."
    with pytest.raises(zoo.UnknownName, match="The plugin index") as caught:
        here.recipe("clsgan-mnits")
    assert caught.value.hint == "Did you mean 'clsgan-mnist'?"
    assert len(str(caught.value).splitlines()) == 2


def test_only_an_unknown_name_reaches_a_server_and_only_if_the_user_gave_its_address(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with Server(json.dumps({"format": 1, "plugins": [NERF]}).encode()) as server:
        monkeypatch.delenv("ZOO_PLUGIN_INDEX", raising=False)
        with pytest.raises(zoo.UnknownName, match=r"^no recipe is called 'zip-nerf'\.\n  `zoo list`"):
            Catalog().recipe("zip-nerf")
        monkeypatch.setenv("ZOO_PLUGIN_INDEX", server.url)
        here = Catalog()
        here.recipe("clsgan-mnist")
        here.rows("models")
        here.info("clsgan-mnist")
        assert server.paths == []
        for _ in range(3):
            with pytest.raises(zoo.UnknownName, match="the distribution 'zoo-nerf' brings the recipe of this name"):
                here.recipe("zip-nerf")
        assert len(server.paths) == 1


def test_a_weights_name_of_a_disabled_plugin_gets_the_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ZOO_DISABLE_PLUGINS", "classifier,clsgan")
    with pytest.raises(zoo.UnknownName, match="The plugin 'clsgan' is disabled"):
        Catalog().published("clsgan-mnist@1")
