"""Labels given as names or as indices of classes."""

import pytest

import zoo_core as zoo
from zoo_plugins.clsgan.labels import indices_of


@pytest.mark.parametrize(
    ("labels", "names", "expected"),
    [
        ("dog", ("cat", "dog"), [1]),
        (["dog", "cat", "dog"], ("cat", "dog"), [1, 0, 1]),
        ([1, "cat"], ("cat", "dog"), [1, 0]),
        (0, ("cat", "dog"), [0]),
        ([1, 3], ("1", "2", "3"), [0, 2]),
        (["2"], ("1", "2", "3"), [1]),
        ([1.5], ("1.5", "2"), [0]),
        ([9, 0], (), [9, 0]),
    ],
)
def test_a_name_goes_before_an_index(labels, names, expected):
    assert indices_of(labels, names, len(names) or 10) == expected


@pytest.mark.parametrize(
    ("labels", "names", "message"),
    [
        ("cow", ("cat", "dog"), "labels contains 'cow', but the classes are cat, dog"),
        (2, ("cat", "dog"), "labels contains 2, but the classes are cat, dog"),
        (-1, ("cat", "dog"), "labels contains -1"),
        (0, ("1", "2", "3"), "labels contains 0, but the classes are 1, 2, 3"),
        (1, ("01", "02"), "labels contains 1, but the classes are 01, 02"),
        ([True], ("cat", "dog"), "should be names of classes or integers"),
        ([None], ("cat", "dog"), "should be names of classes or integers"),
        ([], ("cat", "dog"), "should be names of classes or integers"),
        ("5", (), "labels is '5', but should be integers"),
        (3, (), "should contain integers from 0 to 2"),
    ],
)
def test_what_is_no_class_is_refused_with_an_example_that_works(labels, names, message):
    with pytest.raises(zoo.ZooError, match=message) as refused:
        indices_of(labels, names, len(names) or 3)
    assert refused.value.hint.startswith(f"Write for example labels=[{names[0] if names else 2},")
