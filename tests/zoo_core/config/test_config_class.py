"""The ``Config`` of a component: its base class makes it a dataclass, and refuses mistakes when it is defined."""

from __future__ import annotations

from dataclasses import FrozenInstanceError, dataclass, field, fields, make_dataclass
from typing import Any

import pytest

import zoo_core as zoo
from zoo_core.config.config_class import prepare_config_class
from zoo_core.config.settings import describe, read

KINDS = [zoo.Model, zoo.Trainer, zoo.Dataset]


def component(config: Any) -> Any:
    """A model with this ``Config``."""
    return type("Net", (zoo.Model,), {"Config": config})


@pytest.mark.parametrize("kind", KINDS)
def test_a_config_needs_no_decorator(kind: type[Any]) -> None:
    class Net(kind):  # type: ignore[misc,valid-type]
        class Config:
            width: int = zoo.setting(64, "units", ge=1)
            folder: str = zoo.setting(help="of the images")

    config = read(Net.Config, {"folder": "photos"}, "net")
    assert (config.width, config.folder) == (64, "photos")
    with pytest.raises(FrozenInstanceError):
        config.width = 3
    with pytest.raises(TypeError, match="positional"):
        Net.Config(64, "photos")


@pytest.mark.parametrize("kind", KINDS)
def test_a_component_with_nothing_to_set_needs_no_config(kind: type[Any]) -> None:
    class Net(kind):  # type: ignore[misc,valid-type]
        pass

    assert fields(Net.Config) == ()
    assert describe(Net.Config) == []
    with pytest.raises(zoo.BadSetting, match="no such setting") as raised:
        read(Net.Config, {"width": 3}, "model 'net'")
    assert raised.value.hint == "It has no settings."


def test_an_own_decorator_is_kept() -> None:
    @dataclass(frozen=True, kw_only=True, order=True)
    class Own:
        width: int = zoo.setting(64, "units")

    assert component(Own).Config is Own
    assert Own(width=1) < Own(width=2)


@pytest.mark.parametrize("decorate", [lambda config: config, dataclass(frozen=True, kw_only=True)])
def test_a_config_inherits_settings_with_and_without_a_decorator(decorate: Any) -> None:
    class Base(zoo.Model):
        class Config:
            width: int = zoo.setting(64, "units")

    class Net(Base):
        @decorate
        class Config(Base.Config):
            depth: int = zoo.setting(2, "layers")

    class Same(Net):
        pass

    assert [info.name for info in describe(Net.Config)] == ["width", "depth"]
    assert [info.name for info in describe(Base.Config)] == ["width"]
    assert Same.Config is Net.Config


def test_the_config_of_a_mixin_is_found_behind_a_base_class_without_settings() -> None:
    class Mixin:
        class Config:
            width: int = zoo.setting(64, "units")

    class Plain(zoo.Model):
        pass

    class Net(Plain, Mixin):
        pass

    assert Net.Config().width == 64
    assert fields(Plain.Config) == ()


def test_a_post_init_of_an_undecorated_config_checks_its_settings() -> None:
    class Net(zoo.Model):
        class Config:
            width: int = zoo.setting(64, "units")

            def __post_init__(self) -> None:
                if self.width % 2:
                    raise ValueError("width should be even")

    with pytest.raises(zoo.BadSetting, match="the settings of model 'net' are invalid: width should be even"):
        read(Net.Config, {"width": 3}, "model 'net'")


class WithoutType:
    width = zoo.setting(64, "units")


class WithoutHelp:
    width: int = 64


class WithoutValue:
    width: int


class Mutable:
    sizes: list[int] = []  # noqa: RUF012


class Plain:
    width: int = zoo.setting(64, "units")


class OfPlain(Plain):
    depth: int = zoo.setting(2, "layers")


@dataclass
class Loose:
    width: int = zoo.setting(64, "units")


class OfLoose(Loose):
    depth: int = zoo.setting(2, "layers")


@dataclass(frozen=True)
class Positional:
    width: int = zoo.setting(64, "units")


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (WithoutType, r"Net\.Config\.width has no type. Write for example `width: int = zoo\.setting"),
        (WithoutHelp, r"Net\.Config\.width has no help text. Write `width: … = zoo\.setting"),
        (WithoutValue, r"Net\.Config\.width has no help text"),
        (Mutable, r"Net\.Config can't be a frozen dataclass: mutable default .* Write each setting as `width: int"),
        (OfPlain, r"Net\.Config inherits the setting 'width' from Plain, which should be a dataclass\. Write `@data"),
        (Loose, r"Net\.Config should be a frozen, keyword-only dataclass\. Write `class Config:` without a decorator"),
        (OfLoose, r"Net\.Config can't be a frozen dataclass: cannot inherit frozen dataclass from a non-frozen one"),
        (Positional, r"Net\.Config should be a frozen, keyword-only dataclass"),
        ({"width": 3}, r"Net\.Config should be a class, but is \{'width': 3\}"),
        (None, r"Net\.Config should be a class, but is None"),
    ],
)
def test_a_mistake_is_refused_when_the_class_is_defined(config: Any, message: str) -> None:
    with pytest.raises(TypeError, match=message):
        component(config)


@pytest.mark.parametrize(
    ("field_name", "made", "message"),
    [
        ("name", zoo.setting("resnet18", "of timm"), r"Net\.Config\.name can't be a setting: in a recipe, `name` is"),
        (
            "width",
            field(default=5, init=False, metadata={"help": "w"}),
            r"Net\.Config\.width can't be a setting: init=False",
        ),
    ],
)
def test_a_setting_that_a_recipe_cannot_set_is_refused(field_name: str, made: Any, message: str) -> None:
    config = make_dataclass("Config", [(field_name, int, made)], frozen=True, kw_only=True)
    with pytest.raises(TypeError, match=message):
        prepare_config_class(type("Net", (), {"Config": config}))
