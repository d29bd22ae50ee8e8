"""What `zoo predict` prints and writes for every kind of value."""

import json
import math
import subprocess
import wave
from pathlib import Path

import kinds_plugin
import numpy as np
import pytest
import torch
from PIL import Image
from warm_python import PYTHON

import zoo_core as zoo
from zoo_core.data.values import as_prediction
from zoo_core.errors import BadFile, BadSetting, NameTaken, RunFailed
from zoo_core.tools.prediction import in_json, printed, write_prediction


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("kinds") / "run"
    kinds_plugin.train(folder, "run.preview_every=0")
    return folder


@pytest.fixture
def predict(run, tmp_path):
    """`zoo predict` of the run, in a folder of its own; what it has done, and the files there."""

    def predict(*arguments):
        command = [PYTHON, "-m", "zoo_core", "--plugin", str(kinds_plugin.FILE), "predict", str(run), *arguments]
        done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, encoding="utf-8")
        return done, sorted(path.name for path in tmp_path.iterdir())

    return predict


def values(**named):
    return as_prediction(named, "predict")


def test_the_command_prints_a_text_without_commands_of_a_terminal(predict):
    done, files = predict("gives=text")
    assert done.stdout == f"step 3: {kinds_plugin.HOSTILE}\n".replace("\x1b", "\\x1b")
    assert files == []


def test_the_command_prints_a_table_in_columns(predict):
    done, _ = predict("gives=table")
    assert done.stdout.splitlines() == [
        "token      loss",
        "=1+1      0.125",
        "<b>b</b>     -1",
        "c|d       1e-09",
        "              3",
    ]


def test_the_command_writes_every_kind_in_its_format(predict, tmp_path):
    done, files = predict("gives=all", "-o", "out.wav")
    assert done.returncode == 0, done.stderr
    assert files == [
        "out-my_classes_1.png", "out-my_clips_1.gif", "out-my_images_1.png", "out-my_line_1.npy", "out-my_matrix_1.npy",
        "out-my_table_1.csv", "out-my_text_1.txt", "out-my_volume_1.npy", "out.wav",
    ]  # fmt: skip
    with wave.open(str(tmp_path / "out.wav")) as file:
        assert (file.getnchannels(), file.getframerate()) == (2, kinds_plugin.RATE)
    assert (tmp_path / "out-my_text_1.txt").read_text() == f"step 3: {kinds_plugin.HOSTILE}"
    assert np.load(tmp_path / "out-my_volume_1.npy", allow_pickle=False)[0, 0, 0] == 3


@pytest.mark.parametrize(
    ("gives", "file"),
    [
        ("text", "a.txt"), ("table", "a.csv"), ("audio", "a.WAV"), ("line", "a.npy"), ("matrix", "a.npy"),
        ("volume", "a.npy"), ("volume", "a.tif"), ("matrix", "a.tiff"), ("clips", "a.tif"), ("images", "a.TIF"),
        ("classes", "a.tif"), ("images", "a.png"), ("clips", "a.gif"), ("classes", "a.png"), ("images", "a.npy"),
    ],
)  # fmt: skip
def test_the_command_writes_the_kind_that_the_ending_of_the_file_names(run, tmp_path, gives, file):
    (given,) = as_prediction({"value": kinds_plugin.value(gives, 3)}, "predict").values()
    assert write_prediction({"value": given}, tmp_path / file) == [(tmp_path / file, False)]
    assert (tmp_path / file).stat().st_size
    with pytest.raises(NameTaken, match="exists, and nothing is overwritten"):
        write_prediction({"value": given}, tmp_path / file)
    assert write_prediction({"value": given}, tmp_path / file, overwrite=True) == [(tmp_path / file, True)]
    assert [path.name for path in tmp_path.iterdir()] == [file]


def test_plain_values_are_a_row_of_a_table(tmp_path):
    given = values(label=["cat"], score=torch.tensor([0.5, 0.25]), size={"h": 2, "w": 3}, image=torch.rand(1, 3, 4, 4))
    write_prediction(given, tmp_path / "a.csv")
    assert (tmp_path / "a.csv").read_text().splitlines() == ["label,score.0,score.1,size.h,size.w", "cat,0.5,0.25,2,3"]


def test_a_tiff_file_has_the_values_of_classes_and_of_matrices(tmp_path):
    classes, matrices = torch.arange(12, dtype=torch.uint8).view(3, 4), torch.randn(2, 3, 4)
    write_prediction(values(mask=classes), tmp_path / "mask.tif")
    write_prediction(values(field=matrices), tmp_path / "field.tif")
    with Image.open(tmp_path / "mask.tif") as mask:
        assert np.array_equal(np.asarray(mask), classes.numpy())
    with Image.open(tmp_path / "field.tif") as field:
        assert field.n_frames == 2
        field.seek(1)
        assert np.array_equal(np.asarray(field), matrices[1].numpy())


@pytest.mark.parametrize("gives", ["unequal", "tensor in a cell", "loud", "nan"])
def test_the_command_refuses_a_wrong_value_with_the_model_and_the_line(predict, gives):
    done, files = predict(f"gives={gives}")
    assert done.returncode == 1
    assert "the model Kinds raised ValueError: " in done.stderr
    assert "kinds_plugin.py, line " in done.stderr
    assert files == []


def test_several_values_have_their_names_and_plain_ones_are_json():
    shown = printed(values(text="To be\nor not", label=[3], table=zoo.Table({"a": [1]}), p=torch.tensor([0.5])))
    assert shown == 'text:\nTo be\nor not\n\ntable:\na\n1\n\n{"label": [3], "p": [0.5]}'


def test_plain_values_alone_are_one_line_of_json():
    assert printed(values(label=[3], boxes=[torch.ones(2)])) == '{"label": [3], "boxes": [[1.0, 1.0]]}'
    assert printed({}) == "{}"


def test_columns_of_a_table_are_aligned_by_the_width_of_their_letters():
    assert printed(values(t=zoo.Table({"\u6f22\u5b57": ["a", "\n"], "n": [1, 22]}))).splitlines() == [
        "\u6f22\u5b57   n",
        "a      1",
        "\\n    22",
    ]


def test_everything_is_in_a_json_file(tmp_path):
    everything = values(**kinds_plugin.value("all", 3), number=1)
    ((path, _),) = write_prediction(everything, tmp_path / "a.json")
    read = json.loads(path.read_text())
    assert read.keys() == everything.keys()
    assert read["my table/1"]["loss"] == [0.125, -1.0, 1e-9, 3]
    assert len(read["my audio/1"]["samples"]) == 2


@pytest.mark.parametrize(
    ("gives", "file", "message", "hint"),
    [
        ("audio", None, "the model predicts audio, but no file is given.", "-o speech.wav"),
        ("clips", None, "the model predicts an image, but no file is given.", "-o digits.png"),
        ("text", "a.png", "should be an image, but the model predicts text as 'value'.", "ends in .txt or .json."),
        ("table", "a.txt", "should be text, but the model predicts a table as 'value'.", "ends in .csv or .json."),
        ("line", "a.wav", "should be audio, but the model predicts an array as 'value'.", "ends in .npy or .json."),
        ("classes", "a.txt", "should be text, but the model predicts a class map as 'value'.", "ends in .png, .npy or"),
        ("list", "a.png", "should be an image, but the model predicts a list as 'value'.", "ends in .csv or .json."),
        ("audio", "a.mp3", "a.mp3 should end in .wav or .json.", "/a.wav"),
        ("text", "no ending", "no ending should end in .txt or .json.", "/no ending.txt'"),
    ],
)
def test_a_file_that_does_not_fit_is_refused_with_the_ending_that_does(tmp_path, gives, file, message, hint):
    prediction = values(value=kinds_plugin.value(gives, 3))
    with pytest.raises(BadSetting) as refused:
        write_prediction(prediction, tmp_path / file) if file else printed(prediction)
    assert message in refused.value.message
    assert hint in refused.value.hint
    assert list(tmp_path.iterdir()) == []


def test_what_does_not_fit_is_named_also_if_it_is_much_or_nothing(tmp_path):
    many = values(**{f"part{number}": "text" for number in range(9)})
    for given, named in ((many, "text as 'part0', text as 'part1', text as 'part2' and 6 more"), ({}, "nothing")):
        with pytest.raises(BadSetting, match=f"but the model predicts {named}."):
            write_prediction(given, tmp_path / "a.png")


def test_nothing_is_written_beside_an_ending_that_only_some_values_have(tmp_path):
    given = values(overlay=torch.zeros(1, 3, 4, 4), mask=torch.zeros(4, 4, dtype=torch.uint8))
    written = write_prediction(given, tmp_path / "a.jpg")
    assert [path.name for path, _ in written] == ["a.jpg", "a-mask.png"]


def test_numbers_that_are_not_finite_are_null_in_json_with_a_warning(tmp_path):
    given = values(a=torch.tensor([1.0, math.nan]), b=[math.inf, "NaN"], t=zoo.Table({"x": [-math.inf]}))
    with pytest.warns(UserWarning, match="numbers that are NaN or infinite, which JSON can't represent: null"):
        write_prediction(given, tmp_path / "a.json")
    assert json.loads((tmp_path / "a.json").read_text()) == {"a": [1.0, None], "b": [None, "NaN"], "t": {"x": [None]}}


def test_images_outside_of_the_range_are_written_with_a_warning_and_as_an_array_without(tmp_path):
    given = values(image=torch.full((1, 1, 2, 2), 7.0))
    with pytest.warns(
        UserWarning, match="the model gives images as 'image' with values from 7 to 7, which are clipped"
    ):
        write_prediction(given, tmp_path / "a.png")
    write_prediction(given, tmp_path / "a.npy")


def test_line_ends_of_windows_are_line_ends_of_the_terminal():
    assert printed(values(text="a\r\nb\rc")) == "a\nb\\rc"


@pytest.mark.parametrize("ending", ["txt", "json"])
def test_a_folder_that_does_not_exist_is_named(tmp_path, ending):
    with pytest.raises(BadFile, match="could not be written"):
        write_prediction(values(text="a"), tmp_path / "nowhere" / f"a.{ending}")


def test_a_value_without_a_form_in_json_is_refused_with_its_name():
    with pytest.raises(RunFailed, match="the model predicts an object as 'it', which can't be printed"):
        in_json(values(a=1, it=object()))


def test_names_of_values_never_leave_the_folder(tmp_path):
    folder = tmp_path / "deep"
    folder.mkdir()
    prediction = {"text": "a", "../../text": "b", "/etc/x": "c", "text ": "d"}
    paths = [path for path, _ in write_prediction(prediction, folder / "o.txt")]
    assert {path.parent for path in paths} == {folder}
    assert [path.read_text() for path in paths] == ["a", "b", "c", "d"]
    assert [Path(path).name for path in tmp_path.iterdir()] == ["deep"]
