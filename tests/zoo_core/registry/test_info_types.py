"""``zoo.info`` returns what its type says."""

from __future__ import annotations

from typing import Any, NotRequired, get_args, get_origin, get_type_hints, is_typeddict

import pytest

import zoo_core as zoo
from zoo_core.registry.info_types import Info


def check(value: Any, hint: Any, path: str) -> None:
    """Assert that ``value`` has the keys and the types of ``hint``, recursively."""
    if get_origin(hint) is NotRequired:
        (hint,) = get_args(hint)
    if is_typeddict(hint):
        hints = get_type_hints(hint, include_extras=True)
        optional = {key for key, one in hints.items() if get_origin(one) is NotRequired}
        assert set(value) <= set(hints), path
        assert hint.__total__ is False or set(hints) - optional <= set(value), path
        for key, one in value.items():
            check(one, hints[key], f"{path}.{key}")
    elif get_origin(hint) is list:
        for number, one in enumerate(value):
            check(one, get_args(hint)[0], f"{path}[{number}]")
    elif get_origin(hint) is dict:
        for key, one in value.items():
            check(one, get_args(hint)[1], f"{path}.{key}")
    elif hint is not Any:
        assert isinstance(value, (int, float) if hint is float else hint), path


@pytest.mark.parametrize(
    ("name", "kinds"),
    [
        ("clsgan", {"model", "trainer"}),
        ("datasets/mnist", {"dataset"}),
        ("clsgan-mnist", {"recipe", "weights"}),
        ("digit-classifier-mnist", {"recipe", "weights"}),
        ("frame-folder", {"dataset"}),
    ],
)
def test_a_description_has_the_keys_and_types_of_info(name: str, kinds: set[str]) -> None:
    described = zoo.info(name)
    assert set(described) == kinds
    check(described, Info, name)


def test_the_check_finds_wrong_and_missing_keys() -> None:
    for wrong in ({"models": {}}, {"model": {"name": "a"}}, {"recipe": {**RECIPE, "plugin": 3}}):
        with pytest.raises(AssertionError):
            check(wrong, Info, "wrong")
    check({"recipe": RECIPE}, Info, "right")


RECIPE = {"name": "a", "plugin": "b", "summary": "c", "settings": []}
