"""Settings: which values are accepted, and the messages for those that are not."""

from __future__ import annotations

from dataclasses import dataclass, make_dataclass
from pathlib import Path
from typing import Any, Literal

import pytest

import zoo_core as zoo
from zoo_core.config.run_settings import RunSettings
from zoo_core.config.settings import describe, read
from zoo_core.config.types import type_name
from zoo_core.config.word import Word
from zoo_core.errors import BadSetting, BrokenPlugin


@dataclass(frozen=True, kw_only=True)
class Config:
    rate: float = zoo.setting(1e-3, "learning rate", gt=0)
    width: int = zoo.setting(8, "features", ge=1, le=64)
    betas: tuple[float, float] = zoo.setting((0.9, 0.999), "moment decays", ge=0, lt=1)
    loss: Literal["least-squares", "cross-entropy"] = zoo.setting("least-squares", "which loss")
    label: str | None = zoo.setting(None, "a label, or null")
    layers: list[int] = zoo.setting([128, 256], "widths of the layers", ge=1)  # it is a field
    flip: bool = zoo.setting(False, "mirror the images")
    fractions: dict[str, float] = zoo.setting({}, "fraction of each source")  # it is a field
    words: list[str] = zoo.setting([], "names of the classes")  # it is a field
    size: int | str = zoo.setting("auto", "size of the images", ge=1)
    depth: Literal[1, 2] = zoo.setting(1, "depth")


@pytest.mark.parametrize("key", ["threads", "workers"])
def test_more_threads_or_workers_than_a_process_can_have_are_refused(key: str) -> None:
    with pytest.raises(BadSetting, match=f"run.{key} is 100000, but should be at most 1024"):
        read(RunSettings, {key: 100_000}, "recipe 'tiny'", "run")


@dataclass(frozen=True, kw_only=True)
class WithRequired:
    classes: int = zoo.setting(help="number of classes", ge=2)


def refusal(values: dict[str, Any], config: type[Any] = Config) -> BadSetting:
    with pytest.raises(BadSetting) as raised:
        read(config, values, "trainer 'tiny'", "trainer", lambda key: f"registry.yaml:7[{key}]: ")
    return raised.value


def test_without_values_every_setting_has_its_default() -> None:
    assert read(Config, {}, "trainer 'tiny'") == Config()


def test_values_become_plain_python_of_the_declared_type() -> None:
    given = {
        "rate": 1,
        "betas": [0, 0.5],
        "loss": "cross-entropy",
        "label": "seven",
        "layers": [3],
        "flip": True,
        "fractions": {"a": 1},
    }

    config = read(Config, given, "trainer 'tiny'")

    assert config.rate == 1.0
    assert isinstance(config.rate, float)
    assert config.betas == (0.0, 0.5)
    assert type(config.betas) is tuple
    assert (config.loss, config.label, config.flip) == ("cross-entropy", "seven", True)
    assert type(config.layers) is list
    assert type(config.fractions) is dict
    assert config.fractions == {"a": 1.0}


def test_a_default_that_is_a_list_is_not_shared() -> None:
    Config().layers.append(5)

    assert Config().layers == [128, 256]


def test_null_is_a_value_where_the_type_allows_it() -> None:
    assert read(Config, {"label": None}, "x").label is None
    assert refusal({"width": None}).message == "registry.yaml:7[trainer.width]: trainer.width is null, " + (
        "but should be an int (features)."
    )


def test_a_mandatory_value_is_reported_as_missing_at_its_line() -> None:
    error = refusal({"rate": "???"})

    assert error.message == (
        "registry.yaml:7[trainer.rate]: trainer.rate is missing, but trainer 'tiny' requires it (learning rate)."
    )
    assert error.hint == "Add `trainer.rate=…`: float."


def test_a_misspelt_setting_names_the_nearest_one() -> None:
    error = refusal({"raet": 1.0})

    assert error.message == "registry.yaml:7[trainer.raet]: trainer.raet: trainer 'tiny' has no such setting."
    assert error.hint == "Did you mean 'trainer.rate'?"


def test_an_unknown_setting_without_a_similar_one_lists_all() -> None:
    assert refusal({"zzzzz": 1}).hint == (
        "Its settings: rate, width, betas, loss, label, layers, flip, fractions, words, size, depth."
    )


def test_a_component_without_settings_says_so() -> None:
    @dataclass(frozen=True, kw_only=True)
    class Bare:
        pass

    assert refusal({"width": 1}, Bare).hint == "It has no settings."


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        ("rate", "much", "is 'much', but should be a float (learning rate)"),
        ("rate", None, "is null, but should be a float"),
        ("rate", {"a": 1}, "is {a: 1}, but should be a float"),
        ("width", 6.5, "is 6.5, but should be an int (features)"),
        ("width", True, "is true, but should be an int"),
        ("width", [1], "is [1], but should be an int"),
        ("betas", 0.5, "is 0.5, but should be a list of 2 float (moment decays)"),
        ("betas", [0.5], "is [0.5], but should be a list of 2 float"),
        ("betas", [0.1, 0.2, 0.3], "is [0.1, 0.2, 0.3], but should be a list of 2 float"),
        ("betas", ["a", "b"], "is ['a', 'b'], but should be a list of 2 float"),
        ("betas", [None, (False, 1)], "is [null, [false, 1]], but should be a list of 2 float"),
        ("betas", {"x": 5}, "is {x: 5}, but should be a list of 2 float"),
        ("loss", "hinge", "is 'hinge', but should be one of least-squares, cross-entropy (which loss)"),
        ("label", ["a"], "is ['a'], but should be a str or null"),
        ("layers", ["a"], "is ['a'], but should be a list of int"),
        ("layers", {"x": 1}, "is {x: 1}, but should be a list of int"),
        ("layers", [[1]], "is [[1]], but should be a list of int"),
        ("layers", [{"a": 1}], "is [{a: 1}], but should be a list of int"),
        ("betas", [[0.5], [0.9]], "is [[0.5], [0.9]], but should be a list of 2 float"),
        ("fractions", {"a": {"b": 1}}, "is {a: {b: 1}}, but should be a mapping from str to float"),
        ("rate", 10**400, f"is {10**400}, but should be a float"),
        ("label", 7, "is 7, but should be a str or null"),
        ("label", False, "is false, but should be a str or null"),
        ("words", ["a", 7], "is ['a', 7], but should be a list of str"),
        ("depth", 3, "is 3, but should be one of 1, 2"),
        ("flip", "maybe", "is 'maybe', but should be a bool"),
        ("fractions", [1], "is [1], but should be a mapping from str to float"),
    ],
)
def test_a_value_of_another_type_says_what_was_given_and_expected(key: str, value: Any, expected: str) -> None:
    assert f"trainer.{key} {expected}" in refusal({key: value}).message


@pytest.mark.parametrize(
    ("key", "value", "hint"),
    [
        ("width", 64.0, "Write `trainer.width=64`."),
        ("rate", "1e-4x", "Leave it out for its default, 0.001."),
        ("rate", None, "Leave it out for its default, 0.001."),
        ("width", 0, "Leave it out for its default, 8."),
        ("loss", "least-square", "Did you mean 'least-squares'?"),
        ("loss", "zzz", "Leave it out for its default, 'least-squares'."),
        ("depth", "2", "Write `trainer.depth=2`, without quotes."),
        ("label", 7, 'Quote text that YAML reads otherwise: `label: "7"`.'),
        ("words", [True], 'Quote text that YAML reads otherwise: `["true"]`.'),
    ],
)
def test_the_hint_for_a_near_miss_is_the_correct_value(key: str, value: Any, hint: str | None) -> None:
    assert refusal({key: value}).hint == hint


@pytest.mark.parametrize(
    ("key", "value", "bound"),
    [
        ("rate", 0.0, "above 0"),
        ("rate", "nan", "above 0"),
        ("width", 0, "at least 1"),
        ("width", 65, "at most 64"),
        ("betas", [0.5, 1.0], "below 1"),
        ("betas", [-0.1, 0.5], "at least 0"),
        ("layers", [4, 0], "at least 1"),
    ],
)
def test_a_value_out_of_bounds_names_the_bound(key: str, value: Any, bound: str) -> None:
    assert f"trainer.{key} is {value!r}, but should be {bound} (" in refusal({key: value}).message


def test_ge_and_le_include_their_bound() -> None:
    config = read(Config, {"width": 1, "betas": [0.0, 0.999999]}, "x")
    assert (config.width, config.betas) == (1, (0.0, 0.999999))
    assert read(Config, {"width": 64}, "x").width == 64


def test_the_message_for_a_missing_value_contains_its_help_and_type() -> None:
    error = refusal({}, WithRequired)

    source, _, message = error.message.partition(": ")
    assert source == "registry.yaml:7[trainer]"
    assert message == "trainer.classes is missing, but trainer 'tiny' requires it (number of classes)."
    assert error.hint == "Add `trainer.classes=…`: int."


HALF = "d\udcff"  # how Python reads a byte that is not UTF-8


@pytest.mark.parametrize(("value", "key"), [(HALF, "label"), (Word(HALF), "label"), (["a", HALF], "words.1")])
def test_text_with_bytes_that_are_not_utf_8_is_refused(value: Any, key: str) -> None:
    error = refusal({key.partition(".")[0]: value})
    assert f"trainer.{key} is 'd\\udcff', but should be text in UTF-8" in error.message
    assert "make a link to it" in str(error.hint)


@pytest.mark.parametrize(
    ("key", "value", "full_key"),
    [
        ("label", "${oc.env:HOME}", "trainer.label"),
        ("layers", [1, "${a}"], "trainer.layers.1"),
        ("fractions", {"a": {"b": "x${c}"}}, "trainer.fractions.a.b"),
    ],
)
def test_interpolation_is_refused_at_any_depth(key: str, value: Any, full_key: str) -> None:
    error = refusal({key: value})

    assert f"{full_key} is " in error.message
    assert error.message.endswith("but recipes do not support interpolation.")


def test_keys_without_a_prefix_stand_alone() -> None:
    with pytest.raises(BadSetting, match=r"^widht: model 'm' has no such setting\.") as raised:
        read(Config, {"widht": 3}, "model 'm'")
    assert raised.value.hint == "Did you mean 'width'?"


def test_every_setting_is_described_with_type_default_help_and_bounds() -> None:
    described = {info.name: info for info in describe(Config)}

    assert list(described) == [
        "rate",
        "width",
        "betas",
        "loss",
        "label",
        "layers",
        "flip",
        "fractions",
        "words",
        "size",
        "depth",
    ]
    assert (described["rate"].type, described["rate"].default, described["rate"].help) == (
        "float",
        1e-3,
        "learning rate (above 0)",
    )
    assert described["width"].help == "features (at least 1, at most 64)"
    assert described["layers"].default == [128, 256]
    assert described["label"].type == "str or null"
    (required,) = describe(WithRequired)
    assert (required.required, required.default) == (True, None)


@pytest.mark.parametrize(
    ("hint", "name"),
    [
        (Literal["a", "b"], "one of a, b"),
        (int | None, "int or null"),
        (tuple[float, float], "list of 2 float"),
        (tuple[int, ...], "list of int"),
        (list[str], "list of str"),
        (dict[str, int], "mapping from str to int"),
        (bool, "bool"),
    ],
)
def test_types_are_named_as_in_yaml(hint: Any, name: str) -> None:
    assert type_name(hint) == name


@pytest.mark.parametrize(
    ("hint", "default", "message"),
    [
        (Path, Path("data"), "Config.a is a Path, which a recipe cannot express."),
        (list[Path], [], "Config.a is a list of Path, which a recipe cannot express."),
        (Config, Config(), "Config.a is a Config, which a recipe cannot express."),
        (float, None, "the default of Config.a is null, but should be a float."),
        (int, 0, "the default of Config.a is 0, but should be at least 1."),
    ],
)
def test_an_unsupported_type_or_default_is_an_error_of_the_plugin(hint: Any, default: Any, message: str) -> None:
    config = make_dataclass("Config", [("a", hint, zoo.setting(default, "a", ge=1))], frozen=True, kw_only=True)
    for use in (describe, lambda config: read(config, {}, "model 'net'")):
        with pytest.raises(BrokenPlugin) as raised:
            use(config)
        assert raised.value.message == message


def test_bounds_apply_to_numbers_but_not_to_text() -> None:
    assert read(Config, {"size": "half"}, "trainer 'tiny'").size == "half"
    assert "trainer.size is 0, but should be at least 1" in refusal({"size": 0}).message


def test_a_value_error_of_a_config_is_a_bad_setting() -> None:
    @dataclass(frozen=True, kw_only=True)
    class Range:
        low: int = zoo.setting(0, "from")
        high: int = zoo.setting(1, "to")

        def __post_init__(self) -> None:
            if self.low > self.high:
                raise ValueError("low should be at most high")

    error = refusal({"low": 5}, Range)
    assert (
        error.message
        == "registry.yaml:7[trainer]: the settings of trainer 'tiny' are invalid: low should be at most high."
    )
