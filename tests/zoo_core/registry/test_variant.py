"""Classes with other defaults, and classes of members: what they change, and what stays as it was."""

from __future__ import annotations

import copy
import pickle  # noqa: TID251  # as worker processes receive what they need
from dataclasses import asdict
from typing import Any

import pytest
import tiny
import torch

import zoo_core as zoo
from zoo_core.errors import BadSetting, BrokenPlugin
from zoo_core.registry.catalog import Catalog
from zoo_core.registry.config_source import config_class
from zoo_core.registry.resolve import build
from zoo_core.registry.variant import variant


class Registers:
    """A plugin that registers a name of each kind with other defaults."""

    @zoo.hookimpl
    def zoo_register(self, registry: zoo.Registry) -> None:
        registry.model("wide-line", "tiny:Line", summary="A line", settings={"inputs": 7})
        registry.dataset("few-points", "tiny:Points", summary="Points", settings={"count": 9, "apart": True})
        registry.trainer("fast-line", "tiny:LineTrainer", summary="Trains", settings={"learning_rate": 1})
        registry.model("nothing", "tiny:Line", summary="A line", settings={"outputs": 7})
        registry.model("typed", "tiny:Line", summary="A line", settings={"inputs": "many"})
        registry.model("negative", "tiny:Line", summary="A line", settings={"inputs": -1})


@pytest.fixture
def catalog() -> Catalog:
    here = tiny.catalog()
    here.plugins.add("variants", Registers())
    return here


def test_a_name_may_have_other_defaults_than_its_class(catalog: Catalog) -> None:
    assert build("model", "wide-line", {}, catalog).layers[0].in_features == 7
    assert build("model", "wide-line", {"inputs": 2}, catalog).layers[0].in_features == 2
    assert build("model", "line", {}, catalog).layers[0].in_features == 3
    assert len(build("dataset", "few-points", {}, catalog).train()) == 9
    assert build("trainer", "fast-line", {}, catalog).config.learning_rate == 1.0


@pytest.mark.parametrize("load_first", [False, True])
def test_the_defaults_are_the_same_whether_read_from_the_source_or_from_the_class(
    catalog: Catalog, load_first: bool
) -> None:
    entry = catalog.find("model", "wide-line")
    if load_first:
        entry.load()
    found: Any = config_class(entry)
    assert asdict(found()) == {"inputs": 7}
    (described,) = catalog.info("wide-line")["model"]["settings"]
    assert (described["default"], described["help"]) == (7, "coordinates of a point (at least 1)")


def test_the_class_is_a_subclass_that_keeps_its_name_and_is_made_once(catalog: Catalog) -> None:
    made = catalog.find("model", "wide-line").load()
    assert issubclass(made, tiny.Line)
    assert made is catalog.find("model", "wide-line").load()
    assert (made.__name__, made.__module__) == ("Line", "tiny")
    assert made.count_parameters() == build("model", "line", {"inputs": 7}, catalog).count_parameters()


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("nothing", "model 'variants/nothing' is registered with settings={'outputs': …}, but its class has no such"),
        ("typed", "model 'variants/typed' is registered with settings={'inputs': 'many'}, but inputs should be an int"),
    ],
)
def test_defaults_that_the_class_does_not_take_are_the_plugins_fault(catalog: Catalog, name: str, message: str) -> None:
    with pytest.raises(BrokenPlugin) as raised:
        build("model", name, {}, catalog)
    assert raised.value.message.startswith(message)


def test_a_default_out_of_range_is_the_plugins_fault(catalog: Catalog) -> None:
    with pytest.raises(BrokenPlugin, match=r"the default of Line\.Config\.inputs is -1, but should be at least 1"):
        build("model", "negative", {}, catalog)


def test_settings_of_a_variant_are_checked_as_those_of_its_class(catalog: Catalog) -> None:
    with pytest.raises(BadSetting, match="inputs is 0, but should be at least 1"):
        build("model", "wide-line", {"inputs": 0}, catalog)


@pytest.mark.parametrize("settings", [7, "inputs=7", {7: 1}, {"inputs": object()}, ["inputs"]])
def test_settings_that_are_no_plain_values_are_refused_at_registration(settings: Any) -> None:
    class Wrong:
        @zoo.hookimpl
        def zoo_register(self, registry: zoo.Registry) -> None:
            registry.model("wrong", "tiny:Line", summary="A line", settings=settings)

    with pytest.raises(BrokenPlugin, match="registers the model 'wrong' with settings that are"):
        tiny.catalog().plugins.add("wrong", Wrong())


def test_a_variant_can_be_copied_and_sent_to_another_process(catalog: Catalog) -> None:
    model = build("model", "wide-line", {}, catalog)
    for copied in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):  # noqa: S301
        assert type(copied) is type(model)
        assert copied.config == model.config
        assert all(torch.equal(one, two) for one, two in zip(copied.parameters(), model.parameters(), strict=True))


def test_a_class_without_changes_is_itself() -> None:
    assert variant(tiny.Line, {}, "", "model 'line'") is tiny.Line


def test_a_class_of_a_member_knows_its_name() -> None:
    made = variant(tiny.Line, {"inputs": 2}, "short", "model 'lines/short'")
    assert (made.member, tiny.Line.member) == ("short", "")
    assert repr(made.from_settings({})) == "Line[short](): 25 parameters on cpu, float32"
