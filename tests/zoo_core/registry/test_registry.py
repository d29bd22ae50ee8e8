"""The registry: owners of names, finding names, and registrations that are refused."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import zoo_core as zoo
from zoo_core.errors import BrokenPlugin, NameTaken, UnknownName
from zoo_core.registry.entry import Entry, Kind
from zoo_core.registry.registry import Registry


@pytest.fixture
def registry() -> Registry:
    registry = Registry()
    with registry.owned_by("gans"):
        registry.model("clsgan", "collections:Counter", summary="Two networks", paper="Mao 2017", license="MIT")
        registry.trainer("clsgan", "collections:ChainMap", summary="Adversarial")
    with registry.owned_by("digits"):
        registry.dataset("mnist", "collections:OrderedDict", summary="Digits")
    return registry


def test_an_entry_contains_what_was_registered_and_by_which_plugin(registry: Registry) -> None:
    assert registry.find("model", "clsgan") == Entry(
        "model", "clsgan", "gans", "collections:Counter", "Two networks", "Mao 2017", "MIT"
    )


def test_a_model_and_a_trainer_may_have_the_same_name(registry: Registry) -> None:
    assert registry.find("trainer", "clsgan").target == "collections:ChainMap"
    assert registry.find("model", "clsgan").target == "collections:Counter"


def test_the_full_name_always_works(registry: Registry) -> None:
    assert registry.find("dataset", "digits/mnist") is registry.find("dataset", "mnist")


def test_the_hint_for_an_unknown_name_is_a_similar_one_of_its_kind(registry: Registry) -> None:
    with pytest.raises(UnknownName) as raised:
        registry.find("model", "clsgam")
    assert str(raised.value) == "no model is called 'clsgam'.\n  Did you mean 'clsgan'?"


def test_the_hint_for_a_name_without_a_similar_one_is_zoo_list(registry: Registry) -> None:
    with pytest.raises(UnknownName) as raised:
        registry.find("dataset", "cats")
    assert raised.value.hint == "`zoo list datasets` shows all 1."


def test_the_full_name_of_another_plugin_is_unknown(registry: Registry) -> None:
    with pytest.raises(UnknownName, match="no dataset is called 'gans/mnist'"):
        registry.find("dataset", "gans/mnist")


def test_two_plugins_that_offer_one_name_are_both_named_and_both_available(registry: Registry) -> None:
    with registry.owned_by("stranger"):
        registry.model("clsgan", "collections:deque", summary="Another")

    with pytest.raises(NameTaken) as raised:
        registry.find("model", "clsgan")

    assert str(raised.value) == (
        "2 plugins offer a model called 'clsgan'.\n  Write 'gans/clsgan' or 'stranger/clsgan'."
    )
    assert registry.find("model", "stranger/clsgan").target == "collections:deque"
    assert registry.find("model", "gans/clsgan").target == "collections:Counter"


def test_names_of_a_plugin_that_raises_are_removed(registry: Registry) -> None:
    entries = list(registry.entries)

    def fail_half_way() -> None:
        with registry.owned_by("clumsy"):
            registry.model("half", "collections:deque", summary="Half a plugin")
            registry.recipes(Path("half.yaml"))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail_half_way()

    assert registry.entries == entries
    assert registry.recipe_files == []


def test_names_can_only_be_registered_inside_the_hook(registry: Registry) -> None:
    with pytest.raises(RuntimeError, match="inside the hook zoo_register"):
        registry.model("late", "collections:deque", summary="Late")
    with pytest.raises(RuntimeError, match="inside the hook zoo_register"):
        registry.recipes("late.yaml")


INVALID = [
    "",
    "CLSGAN",
    "cls gan",
    "/clsgan",
    "gans/",
    "gans//clsgan",
    "-clsgan",
    "clsgan-",
    "../clsgan",
    "a..b",
    7,
    None,
]


@pytest.mark.parametrize("name", INVALID)
@pytest.mark.parametrize("kind", ["model", "trainer", "dataset"])
def test_an_invalid_name_is_left_out_and_the_others_of_its_plugin_are_registered(
    registry: Registry, kind: Kind, name: Any
) -> None:
    with registry.owned_by("odd"):
        getattr(registry, kind)("before", "collections:deque", summary="Before")
        getattr(registry, kind)(name, "collections:deque", summary="Odd")
        getattr(registry, kind)("after", "collections:deque", summary="After")

    assert [entry.name for entry in registry.of_kind(kind) if entry.plugin == "odd"] == ["before", "after"]
    assert [(one.plugin, one.kind, one.name) for one in registry.refused] == [("odd", kind, str(name))]
    assert "a name should be" in registry.refused[0].why


def test_asking_for_a_name_that_was_left_out_says_why(registry: Registry) -> None:
    with registry.owned_by("odd"):
        registry.model("ResNet", "collections:deque", summary="Odd")
    with pytest.raises(UnknownName) as raised:
        registry.find("model", "ResNet")
    assert str(raised.value) == (
        "no model is called 'ResNet': the plugin 'odd' registers it, but a name should be lower-case words joined by "
        "'-', '.' or '_', or several such names joined by '/'.\n  Ask the author of the plugin 'odd' to rename it."
    )


def test_a_name_that_is_also_a_full_name_is_found_by_its_own(registry: Registry) -> None:
    with registry.owned_by("stranger"):
        registry.model("gans/clsgan", "collections:deque", summary="Another")

    assert registry.find("model", "gans/clsgan").plugin == "gans"
    assert registry.find("model", "stranger/gans/clsgan").target == "collections:deque"


@pytest.mark.parametrize("name", ["a", "resnet-50", "resnet50.a1_in1k", "7", "zoo/resnet-50", "a/b/c"])
def test_a_valid_name_is_registered(registry: Registry, name: str) -> None:
    with registry.owned_by("plain"):
        registry.model(name, "collections:deque", summary="Plain")
    assert registry.find("model", name).plugin == "plain"


@pytest.mark.parametrize("target", ["collections", "collections.deque", ":deque", "collections:", "a b:C", "os:a.b"])
def test_an_invalid_target_is_refused(registry: Registry, target: str) -> None:
    with pytest.raises(BrokenPlugin, match=r"should have the form 'package\.module:Class'"), registry.owned_by("odd"):
        registry.trainer("odd", target, summary="Odd")


def test_a_name_registered_twice_by_one_plugin_is_refused(registry: Registry) -> None:
    with registry.owned_by("twin"):
        registry.dataset("cats", "collections:deque", summary="Cats")
        with pytest.raises(BrokenPlugin, match="plugin 'twin' registers the dataset 'cats' twice"):
            registry.dataset("cats", "collections:deque", summary="Cats")


@pytest.mark.parametrize(
    ("about", "message"),
    [
        ({"summary": "A", "licens": "MIT"}, "registers a model with licens=…, which registry.model does not know."),
        ({"summary": "A", "url": "x"}, "registers a model with url=…, which registry.model does not know."),
        ({}, "registers the model 'a' without a summary."),
        ({"summary": "A", "license": None}, "registers a model with a license that is None"),
        ({"summary": "A", "paper": 2017}, "registers a model with a paper that is an int"),
    ],
)
def test_what_is_said_of_a_component_is_checked(registry: Registry, about: dict[str, Any], message: str) -> None:
    with registry.owned_by("gans"), pytest.raises(BrokenPlugin, match=f"^plugin 'gans' {message}") as raised:
        registry.model("a", "package.module:A", **about)
    assert ("Did you mean 'license'?" in str(raised.value)) == ("licens" in about)


def test_a_class_that_lacks_a_method_is_refused_with_its_name(registry: Registry) -> None:
    with registry.owned_by("gans"):
        registry.dataset("half", f"{__name__}:HalfADataset", summary="Has no test examples")
    sys.modules[__name__] = sys.modules.get(__name__, ModuleType(__name__))
    sys.modules[__name__].HalfADataset = HalfADataset  # type: ignore[attr-defined]
    with pytest.raises(BrokenPlugin, match=r"dataset 'gans/half': '.*:HalfADataset' does not define test\."):
        registry.find("dataset", "half").load()


class HalfADataset(zoo.Dataset):
    @dataclass(frozen=True, kw_only=True)
    class Config:
        pass

    def train(self) -> zoo.Examples:
        return zoo.InMemory()


def test_a_class_is_imported_when_it_is_loaded(registry: Registry) -> None:
    import tiny

    with registry.owned_by("tiny"):
        registry.model("line", "tiny:Line", summary="A line")
    assert registry.find("model", "line").load() is tiny.Line


@pytest.mark.parametrize(
    ("target", "reason"),
    [
        ("no_such_module:Model", "No module named 'no_such_module'"),
        ("collections:NoSuchClass", "NoSuchClass"),
        ("collections:namedtuple", "but should be a zoo.Model"),
        ("collections:Counter", "but should be a zoo.Model"),
        ("tiny:Points", "but should be a zoo.Model"),
    ],
)
def test_the_error_for_a_class_that_cannot_be_loaded_contains_plugin_and_target(
    registry: Registry, target: str, reason: str
) -> None:
    with registry.owned_by("hollow"):
        registry.model("hollow", target, summary="Nothing behind it")

    with pytest.raises(BrokenPlugin) as raised:
        registry.find("model", "hollow").load()

    assert "model 'hollow/hollow'" in raised.value.message
    assert target in raised.value.message
    assert reason in raised.value.message
    assert "plugin 'hollow'" in (raised.value.hint or "")
