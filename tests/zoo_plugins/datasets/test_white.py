"""The value of white is known of all images, or they are refused: none is read nearly black without a word."""

from pathlib import Path

import pytest

import zoo_core as zoo
from zoo_plugins.datasets.white import check_depth, planned


def facts(peaks, dtype):
    return [zoo.ImageFacts(1, 6, 8, 1, None, False, dtype=dtype, highest=peak, bands=1) for peak in peaks]


def check(peaks, dtype):
    """The notes on images whose largest values are ``peaks``, and the settings that are planned."""
    files = [Path(f"{number}.png") for number in range(len(peaks))]
    return check_depth(files, facts(peaks, dtype), None), planned(files, facts(peaks, dtype))


REFUSED = {
    "12 bits": ("uint16", [4000, 3900, 100], "end at 4000", "dataset.max_value=4095"),
    "15 bits": ("uint16", [32767, 32767, 20000], "end at 32767", "dataset.max_value=32767"),
    "one 15-bit file": ("uint16", [32767, 1000, 20000], "end at 32767", "dataset.max_value=32767"),
    "12 beside 16 bits": ("uint16", [65535] * 9 + [4095], "different depths", "dataset.max_value=65535"),
    "saturated 14 bits": ("uint16", [65535] * 9 + [16383], "different depths", "dataset.max_value=65535"),
    "14 bits with one peak": ("uint16", [65000] * 8 + [15800, 15800], "different depths", "dataset.max_value=65535"),
    "a group of 14 bits": ("uint16", [60000, 65535, 50000, 64000] * 3 + [9000, 12000, 15000], "different depths", ""),
    "half 14 bits": ("uint16", [20000, 18000, 15000, 14000], "different depths", "dataset.max_value=65535"),
    "15 beside 16 bits": ("uint16", [65535, 65000, 32767], "different depths", "dataset.max_value=65535"),
    "0 and 1": ("uint8", [1, 1, 1], "images of 8 bits end at 1", "dataset.max_value=1"),
    "0 to 15": ("uint8", [15, 12, 9], "end at 15", "dataset.max_value=15"),
    "masks": ("uint8", [11, 10, 9], "end at 11", "dataset.max_value=15"),
    "floats": ("float32", [255.0, 3.0], "floating-point values up to 255", "dataset.max_value=255"),
    "float of 12 bits": ("float32", [4000.0, 3.0], "up to 4000", "dataset.max_value=4095"),
    "integers": ("int32", [800], "int32 up to 800", "dataset.max_value=1023"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_images_that_would_be_nearly_black_are_refused(name):
    dtype, peaks, message, hint = REFUSED[name]
    with pytest.raises(zoo.BadFile, match=message) as error:
        check(peaks, dtype)
    assert hint in error.value.hint
    assert ".png" in error.value.message


@pytest.mark.parametrize("name", [name for name, case in REFUSED.items() if "max_value=" in case[3]])
def test_the_cure_of_each_is_one(name):
    dtype, peaks, _, hint = REFUSED[name]
    check_depth([Path("a.png")] * len(peaks), facts(peaks, dtype), int(hint.partition("=")[2]))


@pytest.mark.parametrize(
    ("dtype", "peaks"),
    [
        ("uint16", [65535, 50000, 40000, 30000, 25000, 20000, 17000]),
        ("uint16", [65535, 0, 0]),
        ("uint8", [255, 40, 12, 3, 0]),
        ("uint8", [0, 0]),
        ("uint8", [200]),
        ("float32", [1.0, 0.01]),
    ],
)
def test_honest_dark_images_are_read_without_a_note(dtype, peaks):
    assert check(peaks, dtype) == ([], {})


@pytest.mark.parametrize(
    ("dtype", "peaks", "note"),
    [
        ("uint16", [65535, 50000, 40000, 30000, 20000, 15000, 9000], "2 of 7 images of 16 bits end below 16384"),
        ("uint16", [65535] * 30 + [9000], "1 of 31 images of 16 bits end below 16384 and are taken for dark ones"),
        ("uint16", [30000, 29000], "end at 30000 of 65535"),
        ("uint8", [60, 40], "end at 60 of 255"),
    ],
)
def test_doubtful_images_are_read_with_a_note(dtype, peaks, note):
    (said,), plan = check(peaks, dtype)
    assert note in said
    assert plan == ({"max_value": 65535} if "below 16384" in note else {})  # a prediction refuses dark ones otherwise


def test_a_binary_file_among_bright_ones_is_refused():
    found = facts([255, 1], "uint8")
    found[1] = zoo.ImageFacts(1, 6, 8, 1, None, False, highest=1, bands=1, binary=True)
    with pytest.raises(zoo.BadFile, match=r"b\.png holds 0 and 1 only, and a\.png values up to 255"):
        check_depth([Path("a.png"), Path("b.png")], found, None)
    assert check_depth([Path("a.png"), Path("b.png")], found, 255) == []


def test_values_beyond_max_value_are_refused():
    for dtype, peak in (("uint8", 200), ("uint16", 200), ("float32", 200.0), ("int32", 200)):
        with pytest.raises(zoo.BadFile, match=r"a\.png holds values up to 200, but dataset.max_value is 100"):
            check_depth([Path("a.png")], facts([peak], dtype), 100)


def test_max_value_is_not_used_for_8_bits_if_they_do_not_reach_it():
    assert check_depth([Path("a.png")], facts([255], "uint8"), 4095) == []
    with pytest.raises(zoo.BadFile, match="images of 8 bits end at 15"):
        check_depth([Path("a.png")], facts([15], "uint8"), 4095)


def test_floats_in_0_to_1_are_not_divided_by_more():
    with pytest.raises(zoo.BadFile, match="all floating-point images end at 1"):
        check_depth([Path("a.png")], facts([1.0], "float32"), 4095)


def test_negative_values_are_refused():
    found = [zoo.ImageFacts(1, 6, 8, 1, None, False, dtype="float32", lowest=-0.5, highest=1, bands=1)]
    with pytest.raises(zoo.BadFile, match=r"a\.tif holds negative values, from -0.5 to 1"):
        check_depth([Path("a.tif")], found, 255)


def test_a_plan_states_the_value_of_white_that_follows():
    files = [Path("a.png"), Path("b.png")]
    cases = [([4000, 3900], "uint16", 4095), ([15, 9], "uint8", 15), ([32767, 300], "uint16", 32767)]
    cases += [([255.0, 9.0], "float32", 255), ([800, 9], "int32", 1023)]
    for peaks, dtype, white in cases:
        assert planned(files, facts(peaks, dtype)) == {"max_value": white}
    for peaks in ([65535, 4095], [65535, 16383]):
        with pytest.raises(zoo.BadFile, match="different depths"):
            planned(files, facts(peaks, "uint16"))
    five = [zoo.ImageFacts(1, 6, 8, 5, None, False, bands=5)] * 2
    assert planned(files, five) == {"channels": 5}
