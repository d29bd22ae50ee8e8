"""Families of models: members by name, names that are asked for late, and names that can't be used."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import tiny

import zoo_core as zoo
from zoo_core.config.paths import zoo_home
from zoo_core.errors import BrokenPlugin, NameTaken, UnknownName
from zoo_core.registry.catalog import Catalog
from zoo_core.registry.resolve import build

TARGET = "tiny:Line"


class Registers:
    """A plugin that calls a function with the registry."""

    def __init__(self, register: Callable[[zoo.Registry], None]) -> None:
        self.register = register

    @zoo.hookimpl
    def zoo_register(self, registry: zoo.Registry) -> None:
        self.register(registry)


def catalog_with(names: Any, prefix: str = "lines", plugin: str = "wide", **about: Any) -> Catalog:
    """The catalog of tiny.py and of a plugin that registers a family of lines."""
    here = tiny.catalog()
    about = {"summary": "Lines of some length", "license": "MIT", "tags": ("line",), **about}
    here.plugins.add(plugin, Registers(lambda registry: registry.models(prefix, names, TARGET, **about)))
    return here


def test_a_member_is_built_by_its_name() -> None:
    catalog = catalog_with(["short", "long"], settings={"inputs": 5})
    model = build("model", "lines/long", {}, catalog)
    assert (model.member, model.layers[0].in_features) == ("long", 5)
    assert isinstance(model, tiny.Line)
    assert build("model", "wide/lines/short", {"inputs": 2}, catalog).member == "short"


def test_a_class_outside_of_families_has_no_member() -> None:
    assert build("model", "line", {}, catalog_with(["short"])).member == ""


@pytest.mark.parametrize(
    "names",
    [("a", "b"), ["a", "b"], {"a": 1, "b": 2}, lambda: ["a", "b"], lambda: iter(("a", "b"))],
    ids=["tuple", "list", "mapping", "function of a list", "function of an iterator"],
)
def test_names_may_be_any_iterable_or_a_function(names: Any) -> None:
    catalog = catalog_with(names)
    for _ in range(2):
        assert [row["name"] for row in catalog.rows("models", members=True)] == ["line", "lines/a", "lines/b"]


def test_names_are_asked_for_when_they_are_needed_and_once() -> None:
    asked = []

    def names() -> list[str]:
        asked.append(1)
        return ["a"]

    catalog = catalog_with(names)
    catalog.find("model", "line")
    catalog.rows("recipes")
    assert asked == []
    catalog.find("model", "lines/a")
    catalog.rows("models")
    assert asked == [1]


@pytest.mark.parametrize("names", ["abc", 7, None])
def test_names_that_are_no_sequence_break_the_plugin(names: Any) -> None:
    with pytest.raises(BrokenPlugin, match="registers the models 'lines/…' with names that are a"):
        catalog_with(names)


def test_a_prefix_that_is_no_name_is_left_out_alone() -> None:
    def register(registry: zoo.Registry) -> None:
        registry.models("Lines", ["a"], TARGET, summary="Lines")
        registry.model("other-line", TARGET, summary="A line")

    catalog = tiny.catalog()
    catalog.plugins.add("wide", Registers(register))
    assert [row["name"] for row in catalog.rows("models", members=True)] == ["line", "other-line"]
    assert [one.name for one in catalog.registry.refused] == ["Lines"]


def test_members_whose_names_cannot_be_used_are_left_out_alone() -> None:
    catalog = catalog_with(["a", "B", 7, "a", "../c", "d"])
    assert [row["name"] for row in catalog.rows("models", members=True)] == ["line", "lines/a", "lines/d"]
    assert [one.name for one in catalog.registry.refused] == ["lines/B", "lines/7", "lines/a", "lines/../c"]
    with pytest.raises(UnknownName, match="no model is called 'lines/B': the plugin 'wide' registers it, but a name"):
        catalog.find("model", "lines/B")


def test_a_family_has_one_row_with_its_size() -> None:
    catalog = catalog_with([f"line-{number}" for number in range(1200)])
    rows = [row for row in catalog.rows("models") if row["plugin"] == "wide"]
    assert rows == [
        {"name": "lines/", "plugin": "wide", "tags": "line", "summary": "1,200 models: Lines of some length"}
    ]
    assert [row["name"] for row in catalog.rows("models", "line")] == ["lines/"]


def test_a_recipe_has_the_tags_of_the_family_of_its_model(tmp_path: Path) -> None:
    path = tmp_path / "lines.yaml"
    path.write_text("recipes:\n  lines/fit: {model: {name: lines/a}, dataset: {name: points}, trainer: {name: line}}\n")
    catalog = Catalog([path], installed=False)
    catalog.plugins.add(
        "wide", Registers(lambda registry: registry.models("lines", ["a"], TARGET, summary="Lines", tags=["line"]))
    )
    assert [(row["name"], row["tags"]) for row in catalog.rows("recipes", "line")] == [("lines/fit", "line")]


@pytest.mark.parametrize(
    ("name", "message", "hint"),
    [
        ("lines/shrot", "no model is called 'lines/shrot'.", "Did you mean 'lines/short'?"),
        ("lines/zzz", "no model is called 'lines/zzz'.", "`zoo list models lines/` shows all 2."),
        ("short", "no model is called 'short'.", None),
        ("lines", "'lines' is not a model, but a family of 2.", "`zoo list models lines/` shows them."),
        ("lines/", "'lines/' is not a model, but a family of 2.", "`zoo list models lines/` shows them."),
        ("wide/lines", "'wide/lines' is not a model, but a family of 2.", "`zoo list models lines/` shows them."),
        ("lines/short/", "no model is called 'lines/short/'.", "Did you mean 'lines/short'?"),
    ],
)
def test_an_unknown_member_is_answered_with_a_similar_one_or_how_to_list_them(
    name: str, message: str, hint: str | None
) -> None:
    with pytest.raises(UnknownName) as raised:
        catalog_with(["short", "long"]).find("model", name)
    assert raised.value.message == message
    assert hint is None or raised.value.hint == hint


def test_info_describes_a_member_and_explains_a_family() -> None:
    catalog = catalog_with(["short"], settings={"inputs": 5})
    described = catalog.info("lines/short")["model"]
    assert (described["name"], described["class"], described["parameters"]) == ("wide/lines/short", TARGET, 37)
    with pytest.raises(UnknownName, match="'lines/' is not a model, but a family of 1"):
        catalog.info("lines/")
    with pytest.raises(UnknownName, match="nothing is called 'lines/shrot'") as raised:
        catalog.info("lines/shrot")
    assert raised.value.hint == "Did you mean 'lines/short'?"


def test_a_model_that_is_run_is_explained_to_be_no_recipe() -> None:
    with pytest.raises(UnknownName) as raised:
        catalog_with(["short"]).recipe("lines/short")
    assert str(raised.value) == (
        "no recipe is called 'lines/short'; it is a model.\n  Use it in a recipe: zoo run RECIPE model.name=lines/short"
    )


def test_a_model_of_its_own_goes_before_the_member_of_its_name() -> None:
    def register(registry: zoo.Registry) -> None:
        registry.models("lines", ["a", "b"], TARGET, summary="Lines")
        registry.model("lines/a", TARGET, summary="A special line", settings={"inputs": 9})

    catalog = tiny.catalog()
    catalog.plugins.add("wide", Registers(register))
    assert build("model", "lines/a", {}, catalog).layers[0].in_features == 9
    assert [entry.name for entry in catalog.registry.of_kind("model")] == ["line", "lines/a", "lines/b"]


def test_two_plugins_may_have_one_prefix_and_only_names_of_both_are_ambiguous() -> None:
    catalog = catalog_with(["a", "b"])
    catalog.plugins.add(
        "deep", Registers(lambda registry: registry.models("lines", ["b", "c"], TARGET, summary="Lines"))
    )
    assert [catalog.find("model", f"lines/{one}").plugin for one in "ac"] == ["wide", "deep"]
    with pytest.raises(NameTaken) as raised:
        catalog.find("model", "lines/b")
    assert raised.value.hint == "Write 'wide/lines/b' or 'deep/lines/b'."
    assert catalog.find("model", "deep/lines/b").plugin == "deep"


def test_a_plugin_registers_a_prefix_once() -> None:
    def register(registry: zoo.Registry) -> None:
        registry.models("lines", ["a"], TARGET, summary="Lines")
        registry.models("lines", ["b"], TARGET, summary="Lines")

    with pytest.raises(BrokenPlugin, match="plugin 'wide' registers the models 'lines/…' twice"):
        tiny.catalog().plugins.add("wide", Registers(register))


def test_families_of_a_plugin_that_fails_are_removed() -> None:
    def register(registry: zoo.Registry) -> None:
        registry.models("lines", ["a"], TARGET, summary="Lines")
        registry.model("Bad", TARGET, summary="Left out")
        raise ZeroDivisionError

    catalog = tiny.catalog()
    with pytest.raises(ZeroDivisionError):
        catalog.plugins.add("wide", Registers(register))
    assert (catalog.registry.families, catalog.registry.refused) == ([], [])


def raises(error: BaseException) -> Callable[[], Iterable[str]]:
    def names() -> Iterable[str]:
        raise error

    return names


@pytest.mark.parametrize(
    ("names", "why"),
    [
        (raises(ValueError("no list today")), "ValueError: no list today"),
        (raises(SystemExit(3)), "SystemExit: 3"),
        (lambda: None, "TypeError: 'NoneType' object is not iterable"),
        (list, "the plugin knows none"),
    ],
)
def test_names_that_are_not_available_are_reported_and_the_other_models_listed(names: Any, why: str) -> None:
    catalog = catalog_with(names)
    rows = {row["name"]: row["summary"] for row in catalog.rows("models")}
    assert set(rows) == {"line", "lines/"}
    assert (
        rows["lines/"] == f"(broken: the names of the models 'lines/…' of the plugin 'wide' are not available: {why}.)"
    )
    assert catalog.find("model", "line").name == "line"
    with pytest.raises(BrokenPlugin, match="are not available"):
        catalog.find("model", "lines/a")
    assert set(catalog.rows("models", members=True)[1].values()) >= {"lines/"}


def library_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: str) -> Callable[[], list[str]]:
    """The function ``names`` of a file with this source."""
    path = tmp_path / "naming.py"
    path.write_text(source)
    module = ModuleType("naming")
    exec(compile(source, str(path), "exec"), module.__dict__)  # noqa: S102
    monkeypatch.setitem(sys.modules, "naming", module)
    names: Callable[[], list[str]] = module.names
    return names


def library(site: Path, version: str) -> None:
    """Install a distribution called nets in this version."""
    for old in site.glob("nets-*"):
        (old / "METADATA").unlink()
        old.rmdir()
    (site / f"nets-{version}.dist-info").mkdir()
    (site / f"nets-{version}.dist-info" / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: nets\nVersion: {version}\n"
    )


def test_the_names_of_a_library_are_kept_until_its_version_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    library(tmp_path, "1.0")
    source = "from pathlib import Path\n\ndef names():\n    return Path({!r}).read_text().split()\n"
    listed = tmp_path / "names.txt"
    names = library_names(tmp_path, monkeypatch, source.format(str(listed)))

    def found() -> list[str]:
        return [row["name"] for row in catalog_with(names, library="nets").rows("models", members=True)][1:]

    listed.write_text("a b")
    assert found() == ["lines/a", "lines/b"]
    listed.write_text("a b c")
    assert found() == ["lines/a", "lines/b"]
    library(tmp_path, "1.1")
    assert found() == ["lines/a", "lines/b", "lines/c"]
    listed.write_text("d")
    (file,) = (zoo_home() / "cache" / "names").iterdir()
    for damage in ("{", "[]", '{"key": 1}', json.dumps({"key": json.loads(file.read_text())["key"], "names": 7})):
        file.write_text(damage)
        assert found() == ["lines/d"]


def test_the_names_are_asked_for_again_when_the_function_has_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    library(tmp_path, "1.0")
    for names in (["a"], ["a", "b"]):
        function = library_names(tmp_path, monkeypatch, f"def names():\n    return {names}\n")
        rows = catalog_with(function, library="nets").rows("models", members=True)
        assert [row["name"] for row in rows][1:] == [f"lines/{name}" for name in names]


def test_a_library_that_is_not_installed_is_named() -> None:
    catalog = catalog_with(lambda: ["a"], library="no-such-library")
    with pytest.raises(BrokenPlugin, match="are not available: no-such-library is not installed"):
        catalog.find("model", "lines/a")
    assert "no-such-library is not installed" in catalog.rows("models")[1]["summary"]
