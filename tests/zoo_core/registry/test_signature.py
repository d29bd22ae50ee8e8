"""The options of functions that plugins register: names, types that a recipe can express, defaults and meanings."""

from __future__ import annotations

from typing import Literal

import pytest
from torch import Tensor

from zoo_core.errors import BadSetting
from zoo_core.registry.catalog import Catalog
from zoo_core.registry.entry import Entry
from zoo_core.registry.signature import options_of, read_options


def sample(
    params,
    lr: float,
    weight_decay: float = 0,
    *,
    rate: float | Tensor = 0.1,
    pair: tuple[float | Tensor, float] = (0.0, 1.0),
    mode: Literal["a", "b"] | None = None,
    called: type | None = None,
    needed: int,
    plain=3,
    anything=None,
    **rest,
) -> None:
    """A function of a plugin.

    Args:
        rate (float, Tensor, optional): the rate. It is
            explained at length (default: 0.1)
        pair: two numbers
        needed: what is needed

    Returns:
        nothing: at all
    """


def numpy_style(params, lr: float, *, rate: float = 1.0, other: int = 2) -> None:
    """A function of a plugin.

    Parameters
    ----------
    rate : float
        the rate, which
        is a number
    other : int
        another one
    """


def entry(function):
    return Entry("optimizer", "sample", "plugin", f"{__name__}:{function.__name__}", "A sample", "", "")


def test_options_have_types_that_a_recipe_can_express():
    found = {name: (one.hint, one.default) for name, one in options_of(entry(sample)).items()}
    assert found["rate"] == (float, 0.1)
    assert found["pair"] == (tuple[float, float], (0.0, 1.0))
    assert found["mode"] == (Literal["a", "b"] | None, None)
    assert found["plain"] == (float, 3)
    assert set(found) == {"rate", "pair", "mode", "needed", "plain", "anything"}
    assert [name for name, one in options_of(entry(sample)).items() if one.required] == ["needed"]


@pytest.mark.parametrize(
    ("function", "helps"),
    [
        (sample, {"rate": "the rate", "pair": "two numbers", "needed": "what is needed"}),
        (numpy_style, {"rate": "the rate, which is a number", "other": "another one"}),
    ],
)
def test_meanings_are_those_of_the_docstring(function, helps):
    assert {name: one.help for name, one in options_of(entry(function)).items() if one.help} == helps


def test_values_are_converted():
    read = read_options(entry(sample), {"rate": "1e-3", "pair": [1, 2], "mode": "b", "needed": 2}, "trainer.options")
    assert read == {"rate": 0.001, "pair": (1.0, 2.0), "mode": "b", "needed": 2}


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"mode": "c"}, "trainer.options.mode is 'c', but the optimizer 'sample' needs one of a, b or null."),
        ({"needed": 2.5}, "trainer.options.needed is 2.5, but the optimizer 'sample' needs an int."),
        ({"rat": 1}, "trainer.options.rat: the optimizer 'sample' has no such option."),
        ({"called": "x"}, "trainer.options.called: the optimizer 'sample' has no such option."),
        ({"weight_decay": 1}, "trainer.options.weight_decay: this is a setting of its own."),
    ],
)
def test_a_value_that_does_not_fit_is_refused(values, message):
    with pytest.raises(BadSetting) as raised:
        read_options(entry(sample), values, "trainer.options")
    assert raised.value.message == message


@pytest.mark.parametrize("kind", ["optimizer", "schedule"])
def test_every_option_of_zoo_has_a_meaning_and_a_type(kind):
    here = Catalog(installed=False)
    for one in here.registry.of_kind(kind):
        for option in options_of(one).values():
            assert option.help, f"{one.name}.{option.name}"
            assert option.describe()["type"]
