"""Registering and finding names takes a time that grows with their number, and no faster."""

from __future__ import annotations

import copy
import cProfile
import operator
from collections.abc import Callable

import pytest

import zoo_core as zoo
from zoo_core.errors import BrokenPlugin
from zoo_core.registry.registry import Registry


def calls(function: Callable[[], object]) -> int:
    """How many functions and steps of generators are called, which is the same in every run."""
    profile = cProfile.Profile()
    profile.runcall(function)
    return sum(entry.callcount for entry in profile.getstats())


def registering(kind: str, number: int) -> Callable[[], Registry]:
    def register() -> Registry:
        registry = Registry()
        with registry.owned_by("many"):
            for index in range(number):
                if kind == "family":
                    registry.models(f"m{index}", ["a"], "a:B", summary="s")
                elif kind == "recipe":
                    registry.recipe(f"m{index}", "plugin.py", model={"name": "m"})
                else:
                    getattr(registry, kind)(f"m{index}", "a:B", summary="s")
        return registry

    return register


@pytest.mark.parametrize("kind", ["model", "trainer", "logger", "optimizer", "schedule", "task", "family", "recipe"])
def test_twice_as_many_names_take_twice_as_many_calls(kind: str) -> None:
    few, many = calls(registering(kind, 300)), calls(registering(kind, 600))
    assert many < 2.1 * few


def test_many_plugins_take_calls_in_proportion() -> None:
    def register(number: int) -> None:
        registry = Registry()
        for index in range(number):
            with registry.owned_by(f"p{index}"):
                registry.model("same", "a:B", summary="s")

    assert calls(lambda: register(600)) < 2.1 * calls(lambda: register(300))


def test_finding_all_names_takes_calls_in_proportion() -> None:
    def find(registry: Registry, number: int) -> None:
        for index in range(number):
            registry.named(f"m{index}")

    few, many = registering("model", 300)(), registering("model", 600)()
    assert calls(lambda: find(many, 600)) < 2.1 * calls(lambda: find(few, 300))


@pytest.mark.parametrize("kind", ["model", "optimizer", "family", "recipe"])
def test_a_plugin_that_fails_leaves_no_name_and_may_be_loaded_again(kind: str) -> None:
    registry = registering(kind, 3)()

    def fail() -> None:
        with registry.owned_by("clumsy"):
            registry.model("half", "a:B", summary="s")
            registry.models("half", ["a"], "a:B", summary="s")
            registry.recipe("half", "clumsy.py", model={"name": "m"})
            registry.recipe("half", "plugin.py", model={"name": "m"})
            raise ZeroDivisionError

    for _ in range(2):
        with pytest.raises(ZeroDivisionError):
            fail()
    assert [entry.name for entry in registry.named("half")] == []
    assert registry.named("half/a") == []
    assert "half" not in str(registry.own_recipes)
    with registry.owned_by("clumsy"):
        registry.model("half", "a:B", summary="s")
    assert registry.find("model", "half").full_name == "clumsy/half"


@pytest.mark.parametrize("name", ["entries", "families", "recipe_files", "refused"])
@pytest.mark.parametrize("how", ["clear", "replace", "new list", "no list", "reverse"])
def test_a_plugin_that_removes_the_names_of_others_is_broken_and_they_stay(name: str, how: str) -> None:
    registry = Registry()
    for plugin in ("first", "second"):
        with registry.owned_by(plugin):
            registry.model("one", "a:B", summary="s")
            registry.model("no name", "a:B", summary="s")
            registry.models("many", ["a"], "a:B", summary="s")
            registry.recipe("one", f"{plugin}.py", model={"name": "one"})
    before, recipes = list(getattr(registry, name)), copy.deepcopy(registry.own_recipes)
    assert len(before) == 2

    def clumsy() -> None:
        with registry.owned_by("clumsy"):
            registry.recipe("two", "first.py", model={"name": "one"})
            listed = getattr(registry, name)
            if how in ("clear", "reverse"):
                getattr(listed, how)()
            elif how == "replace":
                listed[0] = listed[1]
            else:
                setattr(registry, name, [] if how == "new list" else None)

    with pytest.raises(zoo.BrokenPlugin, match="it removes names that other plugins have registered"):
        clumsy()
    assert all(map(operator.is_, getattr(registry, name), before))
    assert len(getattr(registry, name)) == len(before)
    assert registry.own_recipes == recipes
    assert registry.find("model", "first/one").plugin == "first"


@pytest.mark.parametrize("how", ["one", "all"])
def test_recipes_of_others_stay_too(how: str) -> None:
    registry = registering("recipe", 3)()

    def clumsy() -> None:
        with registry.owned_by("clumsy"):
            if how == "all":
                registry.own_recipes.clear()
            else:
                del next(iter(registry.own_recipes.values()))["recipes"]["m1"]

    with pytest.raises(zoo.BrokenPlugin, match="it removes names that other plugins have registered"):
        clumsy()
    assert list(next(iter(registry.own_recipes.values()))["recipes"]) == ["m0", "m1", "m2"]


def test_a_name_that_is_registered_twice_is_refused_for_every_kind() -> None:
    registry = Registry()
    with registry.owned_by("twice"):
        registry.model("one", "a:B", summary="s")
        registry.trainer("one", "a:B", summary="s")  # of another kind
        registry.recipe("one", "plugin.py", model={"name": "one"})
        registry.models("one", ["a"], "a:B", summary="s")
        for again in (
            lambda: registry.model("one", "a:B", summary="s"),
            lambda: registry.models("one", ["b"], "a:B", summary="s"),
            lambda: registry.recipe("one", "plugin.py", model={"name": "one"}),
        ):
            with pytest.raises(BrokenPlugin, match="twice"):
                again()
