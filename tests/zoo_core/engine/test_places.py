"""Places notice another object, an object that is gone, and an attribute that hides that of the class."""

from __future__ import annotations

from zoo_core.engine.places import ABSENT, Attributes, Places


class Slotted:
    __slots__ = ("rate",)


class Plain:
    rate = 0.5


def test_the_same_objects_are_the_same_until_one_is_replaced_by_an_equal_one():
    values = {"a": [1], "b": [2]}
    places = Places()
    for key in values:
        places.add(f"values['{key}']", values, key)
    assert places.same()
    values["b"] = [2]
    assert not places.same()
    assert [path for path, now, held in places.values() if now is not held] == ["values['b']"]


def test_what_is_gone_is_not_the_same():
    values, slotted = {"a": 1}, Slotted()
    slotted.rate = 0.1
    for container, key in ((values, "a"), (Attributes(slotted), "rate")):
        places = Places()
        places.add("it", container, key)
        assert places.same()
        if key == "a":
            del values["a"]
        else:
            del slotted.rate
        assert not places.same()
        assert [now for _, now, _ in places.values()] == [ABSENT]


def test_an_attribute_that_hides_that_of_the_class_is_another():
    plain, places = Plain(), Places()
    places.add("plain.rate", Attributes(plain), "rate")
    assert places.same()
    plain.rate = 0.25
    assert not places.same()
