"""Files that name classes, in the forms that CVAT, CamVid, fastai and people write."""

from __future__ import annotations

import re

import pytest

import zoo_core as zoo
from zoo_plugins.datasets.mask_table import find_table, read_table


def table(tmp_path, text):
    (tmp_path / "classes.txt").write_text(text)
    return [(line.name, line.value, line.color) for line in read_table(tmp_path / "classes.txt").lines]


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("sky\nroad sign\n", [("sky", None, None), ("road sign", None, None)]),
        ("\ufeffsky\r\n\r\nroad\r\n", [("sky", None, None), ("road", None, None)]),
        ("0 sky\n7 road sign\n", [("sky", 0, None), ("road sign", 7, None)]),
        ("0: sky\n7: road\n", [("sky", 0, None), ("road", 7, None)]),
        ("sky,0\nroad,255\n", [("sky", 0, None), ("road", 255, None)]),
        ("name,value\nsky,0\n", [("sky", 0, None)]),
        (
            "# label:color_rgb:parts:actions\nsky:0,0,255::\nroad:1,2,3::\n",
            [("sky", None, 255), ("road", None, 0x010203)],
        ),
        ("name,r,g,b\nroad sign,128,64,32\nsky, 0, 0, 1\n", [("road sign", None, 0x804020), ("sky", None, 1)]),
        ("64 128 64\tAnimal\n0 0 1\tSUV pickup\n", [("Animal", None, 0x408040), ("SUV pickup", None, 1)]),
        ("sky,#0000ff\nroad,#FF0000\n", [("sky", None, 0xFF), ("road", None, 0xFF0000)]),
        ("#0000ff sky\n", [("sky", None, 0xFF)]),
        ("id;name;red;green;blue\n0;sky;0;0;1\n4;road;0;0;2\n", [("sky", 0, 1), ("road", 4, 2)]),
        ("sky,3,0,0,1\n", [("sky", 3, 1)]),
    ],
)
def test_forms_of_lines(tmp_path, text, lines):
    assert table(tmp_path, text) == lines


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "names no classes"),
        ("# nothing\n", "names no classes"),
        ("a,1,2,3\nb\n", "line 2, differs from the lines before it: 'b'"),
        ("a\na\n", "gives the name a to two classes"),
        ("a,1\nb,1\n", "gives the value 1 to two classes"),
        ("a,1,2,3\nb,1,2,3\n", "gives the color #010203 to two classes"),
        ("a,1,2,300\n", "has the color [1, 2, 300], beyond 255"),
    ],
)
def test_files_that_are_no_tables(tmp_path, text, message):
    with pytest.raises(zoo.BadFile, match=re.escape(message)) as error:
        table(tmp_path, text)
    assert str(tmp_path / "classes.txt") in error.value.message


def test_the_usual_names_are_found_and_two_are_refused(tmp_path):
    assert find_table(tmp_path, "") is None
    (tmp_path / "Classes.TXT").write_text("a\nb\n")
    assert [line.name for line in find_table(tmp_path, "").lines] == ["a", "b"]
    assert find_table(tmp_path, None) is None
    (tmp_path / "labelmap.txt").write_text("a:0,0,0::\n")
    with pytest.raises(zoo.ZooError, match=r"Classes\.TXT and labelmap\.txt") as error:
        find_table(tmp_path, "")
    assert "dataset.classes=null" in error.value.hint
    assert find_table(tmp_path, "labelmap.txt").has_colors


def test_a_file_that_is_no_text_is_named(tmp_path):
    (tmp_path / "classes.txt").write_bytes("sky\n".encode("utf-16"))
    with pytest.raises(zoo.BadFile, match=r"classes\.txt can't be read"):
        find_table(tmp_path, "")


def test_a_file_that_is_missing_is_named(tmp_path):
    with pytest.raises(zoo.BadFile, match=r"nope\.csv can't be read: No such file"):
        find_table(tmp_path, "nope.csv")


def test_names_of_what_is_ignored(tmp_path):
    (tmp_path / "classes.txt").write_text("Void\nroad\nunlabelled\n")
    assert [line.is_ignored for line in find_table(tmp_path, "").lines] == [True, False, True]
