"""Equal colors are equal classes, whatever the format of the mask; a table may order and name them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import zoo_core as zoo
from zoo_plugins.datasets.mask_colors import find_colors
from zoo_plugins.datasets.mask_table import ClassLine, ClassTable

BLACK, GREEN, RED, VOID = (0, 0, 0), (0, 128, 0), (128, 0, 0), (224, 224, 192)


def code(color):
    return color[0] << 16 | color[1] << 8 | color[2]


def color_facts(colors, kind="color"):
    if kind == "palette":
        return zoo.MaskFacts(1, 1, tuple(range(len(colors))), kind, dict(enumerate(colors)), 1, (100,) * len(colors))
    codes = sorted(map(code, colors))
    return zoo.MaskFacts(1, 1, tuple(codes), kind, {}, 1, (100,) * len(codes))


def colors(*masks, table=None):
    return find_colors([Path(f"{number}.png") for number in range(len(masks))], masks, table)


def table_of(*lines):
    return ClassTable(Path("classes.csv"), [ClassLine(*line) for line in lines])


def test_colors_are_sorted_by_red_green_and_blue():
    found = colors(color_facts([RED, BLACK]), color_facts([GREEN, BLACK]))
    assert found.values == (code(BLACK), code(GREEN), code(RED))
    assert found.notes == ["the 3 colors of the masks are the classes: 0 #000000, 1 #008000, 2 #800000"]


def test_equal_colors_are_equal_classes_in_palettes_of_any_order_and_in_images_in_color():
    masks = [color_facts([BLACK, RED, GREEN], "palette"), color_facts([GREEN, BLACK], "palette"), color_facts([RED])]
    assert colors(*masks).values == (code(BLACK), code(GREEN), code(RED))


def test_the_border_of_pascal_voc_is_ignored():
    found = colors(color_facts([BLACK, RED, VOID]))
    assert (found.values, found.ignored) == ((code(BLACK), code(RED)), (code(VOID),))
    assert colors(color_facts([BLACK, (1, 2, 3), VOID])).ignored == ()


def test_a_table_orders_and_names_colors():
    table = table_of(("car", None, code(RED)), ("void", None, code(GREEN)), ("bg", None, code(BLACK)))
    found = colors(color_facts([RED, GREEN]), color_facts([BLACK]), table=table)
    assert (found.values, found.ignored, found.names) == ((code(RED), code(BLACK)), (code(GREEN),), ("car", "bg"))


@pytest.mark.parametrize(
    ("masks", "table", "message", "hint"),
    [
        ([[RED]], None, "all masks contain the color #800000 only, as 0.png", "classes.csv"),
        (
            [[RED, (1, 2, 3)]],
            [("a", None, code(RED)), ("b", None, 0)],
            "0.png contains the color #010203",
            "NAME,1,2,3",
        ),
        ([[RED, BLACK]], [("a", None, None), ("b", None, None)], "does not say the color", "NAME,RED,GREEN,BLUE"),
        ([[(n, 0, 1) for n in range(256)]], None, "contains 256 colors, too many", "resized by nearest neighbors only"),
    ],
)
def test_colors_that_are_refused(masks, table, message, hint):
    with pytest.raises(zoo.BadFile, match=re.escape(message)) as error:
        colors(*map(color_facts, masks), table=table and table_of(*table))
    assert hint in error.value.hint
