"""Masks of one coding are read alike: by value, by color or as objects, several for an image on top of one another."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

import zoo_core as zoo
from zoo_plugins.datasets.mask_readers import CodingSettings, counts_of_classes, find_coding, read_merged
from zoo_plugins.datasets.mask_table import ClassLine, ClassTable

BLACK, GREEN, RED = (0, 0, 0), (0, 128, 0), (128, 0, 0)
CLASSES = (np.arange(48).reshape(6, 8) % 3).astype(np.uint8)


def palette(indices, colors):
    image = Image.fromarray(indices)
    image.putpalette([value for color in colors for value in color])
    return image


def in_color(indices, colors):
    return Image.fromarray(np.array(colors, np.uint8)[indices])


def coding_of(tmp_path, masks, **settings):
    paths = [tmp_path / f"{number}.png" for number in range(len(masks))]
    for path, mask in zip(paths, masks, strict=True):
        (mask if isinstance(mask, Image.Image) else Image.fromarray(mask)).save(path)
    given = {"num_classes": None, "class_values": (), "ignore_index": 255, "instances": "refuse", "table": None}
    facts = zoo.check_masks(paths, colors=True)
    coding = find_coding(paths, facts, CodingSettings(**given | settings))
    return coding, [coding.reader.read(path).numpy() for path in paths], facts


@pytest.mark.parametrize(
    "masks",
    [
        [CLASSES, CLASSES],
        [CLASSES.astype(np.uint16), CLASSES],
        [CLASSES * 100, CLASSES * 100],
        [in_color(CLASSES, [BLACK, GREEN, RED])] * 2,
        [palette(CLASSES, [BLACK, GREEN, RED])] * 2,
        [palette(CLASSES, [BLACK, GREEN, RED]), palette(2 - CLASSES, [RED, GREEN, BLACK])],
        [palette(CLASSES, [BLACK, GREEN, RED]), in_color(CLASSES, [BLACK, GREEN, RED])],
        [in_color(CLASSES, [BLACK, GREEN, RED]).convert("RGBA")] * 2,
        [Image.fromarray(CLASSES * 100).convert("RGB"), Image.fromarray(CLASSES * 100)],
    ],
    ids=["gray", "16 bit", "sparse", "color", "palette", "palettes", "palette and color", "rgba", "gray in color"],
)
def test_classes_are_the_same_in_every_coding(tmp_path, masks):
    coding, read, facts = coding_of(tmp_path, masks)
    assert coding.num_classes == 3
    assert all(np.array_equal(one, CLASSES) for one in read)
    assert counts_of_classes(coding, facts) == [32, 32, 32]


def test_palettes_of_black_and_white_in_another_order(tmp_path):
    binary = (CLASSES > 0).astype(np.uint8)
    masks = [palette(binary, [BLACK, (255,) * 3]), palette(1 - binary, [(255,) * 3, BLACK])]
    coding, read, _ = coding_of(tmp_path, masks)
    assert coding.names == ("background", "foreground")
    assert all(np.array_equal(one, binary) for one in read)


def test_black_alone_is_a_color_beside_others(tmp_path):
    masks = [in_color(CLASSES, [BLACK, GREEN, RED]), np.zeros((6, 8), np.uint8), Image.new("RGB", (8, 6))]
    assert [one.max() for one in coding_of(tmp_path, masks)[1]] == [2, 0, 0]


def test_gray_indices_beside_colors_are_refused(tmp_path):
    with pytest.raises(zoo.BadFile, match=r"1\.png is in grayscale, and .*0\.png has colors"):
        coding_of(tmp_path, [in_color(CLASSES, [BLACK, GREEN, RED]), CLASSES])


def test_a_table_orders_the_colors_of_palettes_that_agree(tmp_path):
    lines = [ClassLine("red", None, 0x800000), ClassLine("black", None, 0), ClassLine("void", None, 0x008000)]
    table = ClassTable(tmp_path / "labelmap.txt", lines)
    coding, read, _ = coding_of(tmp_path, [palette(CLASSES, [BLACK, GREEN, RED])] * 2, table=table)
    assert coding.names == ("red", "black")
    assert np.array_equal(read[0], np.array([1, 255, 0])[CLASSES])


def test_objects_are_one_class(tmp_path):
    numbered = np.arange(48, dtype=np.uint16).reshape(6, 8) * 700
    coding, read, facts = coding_of(tmp_path, [numbered] * 2, instances="semantic")
    assert (coding.num_classes, coding.names) == (2, ("background", "object"))
    assert np.array_equal(read[0], numbered > 0)
    assert counts_of_classes(coding, facts) == [2, 94]


@pytest.mark.parametrize("settings", [{"num_classes": 3}, {"class_values": (0, 255)}])
def test_objects_have_no_other_classes(tmp_path, settings):
    with pytest.raises(zoo.BadSetting, match="instances=semantic makes two classes"):
        coding_of(tmp_path, [CLASSES] * 2, instances="semantic", **settings)


def test_a_number_of_classes_that_is_given_is_compared_with_the_colors(tmp_path):
    masks = [in_color(CLASSES, [BLACK, GREEN, RED])] * 2
    assert coding_of(tmp_path, masks, num_classes=3)[0].num_classes == 3
    with pytest.raises(zoo.BadFile, match=r"contain 3 colors, as .*0\.png, but dataset\.num_classes is 4"):
        coding_of(tmp_path, masks, num_classes=4)
    with pytest.raises(zoo.BadSetting, match=r"dataset\.class_values is \[0, 1\], but .*0\.png has colors"):
        coding_of(tmp_path, masks, class_values=(0, 1))


def test_a_number_of_classes_that_is_given_is_that_of_the_table(tmp_path):
    table = ClassTable(tmp_path / "classes.txt", [ClassLine(name, None, None) for name in "abc"])
    assert coding_of(tmp_path, [CLASSES] * 2, num_classes=3, table=table)[0].names == ("a", "b", "c")
    with pytest.raises(zoo.BadSetting, match=r"classes\.txt names 3 classes, but dataset\.num_classes is 5"):
        coding_of(tmp_path, [CLASSES] * 2, num_classes=5, table=table)


def test_of_several_masks_a_later_one_is_on_top(tmp_path):
    first, second = np.array([[0, 1, 1, 0]], np.uint8), np.array([[0, 0, 2, 2]], np.uint8)
    coding, *_ = coding_of(tmp_path, [first, second])
    merged = read_merged(coding.reader, [tmp_path / "0.png", tmp_path / "1.png"])
    assert merged.tolist() == [[0, 1, 2, 2]]


def test_a_color_that_came_since_the_check_is_refused_when_it_is_read(tmp_path):
    coding, *_ = coding_of(tmp_path, [in_color(CLASSES, [BLACK, GREEN, RED])] * 2)
    in_color(CLASSES, [BLACK, GREEN, (9, 9, 8)]).save(tmp_path / "0.png")
    with pytest.raises(zoo.BadFile, match=r"0\.png contains the color #090908, which is that of no class"):
        coding.reader.read(tmp_path / "0.png")
