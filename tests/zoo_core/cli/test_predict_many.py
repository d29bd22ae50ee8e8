"""`zoo predict NAME images=…`: many files, into a folder, a table, or lines."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from distributions import install
from PIL import Image

from zoo_core.cli import _exit_code
from zoo_core.tools.predict_many import run
from zoo_core.weights import format as weights_format

READERS = '''
    """Models that read files."""

    import time
    from dataclasses import dataclass
    from pathlib import Path

    import torch

    import zoo_core as zoo


    @zoo.hookimpl
    def zoo_register(registry):
        for name in ("Segmenter", "Named", "Labeler", "Batcher", "Clips", "Pages", "Slow", "Tables", "Wrong", "Both",
                     "Drawn"):
            registry.model(name.lower(), f"reading:{name}", summary=name)


    class Segmenter(zoo.Model):
        def predict(self, image: str, threshold: float = 0.5):
            pixels = zoo.read_image(image, 1)
            mask = (pixels[0] > threshold).to(torch.uint8)
            return {"mask": mask, "overlay": pixels[None], "fraction": {"bright": float(mask.float().mean())}}

        def controls(self):
            return {"image": zoo.Control("image")}


    class Labeler(zoo.Model):
        calls = []

        def predict(self, image: str | Path):
            self.calls.append(str(image))
            return {"label": [Path(image).stem], "value": [round(float(zoo.read_image(image, 1).mean()), 3)]}

        def controls(self):
            return {"image": zoo.Control("image")}


    class Named(zoo.Model):
        def predict(self, image: str | torch.Tensor, prompt: str = "a"):
            return {"prompt": prompt, "mean": float(zoo.read_image(image, 1).mean())}


    class Batcher(zoo.Model):
        sizes = []

        def predict(self, image: str | torch.Tensor):
            return self.predict_batch([self.read_inputs(image=image)])[0]

        def read_inputs(self, image):
            return {"image": zoo.read_image(image, 1)}

        def predict_batch(self, inputs):
            self.sizes.append(len(inputs))
            if any(one["image"].max() == 0 for one in inputs):
                raise zoo.ZooError("a black image has no value.")
            return [{"value": float(one["image"].mean())} for one in inputs]

        def controls(self):
            return {"image": zoo.Control("image")}


    class Clips(zoo.Model):
        def predict(self, frames: str):
            return {"length": len(zoo.read_frames(frames, 1))}

        def controls(self):
            return {"frames": zoo.Control("video", plural="clips")}


    class Pages(zoo.Model):
        def predict(self, page: Path, word: str = "a"):
            return {"count": page.read_text().count(word), "first": page.read_text()[:1]}


    class Slow(zoo.Model):
        def predict(self, page: Path):
            time.sleep(0.15)
            return {"image": torch.rand(1, 3, 8, 8)}


    class Tables(zoo.Model):
        def predict(self, page: Path):
            return {"objects": zoo.Table({"x": [1, 2], "name": ["a", "=b"]}), "count": 2}


    class Both(zoo.Model):
        def predict(self, frames: str | None = None, image: str | None = None):
            raise TypeError("never called")

        def controls(self):
            return {"frames": zoo.Control("video", plural="clips")}


    class Drawn(zoo.Model):
        def predict(self, seed: int = 0):
            raise TypeError("never called")


    class Wrong(zoo.Model):
        outputs = {"image": "(N, 3, H, W) in [0, 1]"}

        def predict(self, page: Path):
            raise TypeError("never called")
'''
Predict = Callable[..., tuple[int, str, str]]


@pytest.fixture
def predict(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Predict]:
    """`zoo predict` with a model of the plugin; returns its exit code, stdout and stderr."""
    site = tmp_path / "site-packages"
    site.mkdir()
    monkeypatch.syspath_prepend(site)
    monkeypatch.setenv("ZOO_TRACEBACK", "")
    install(site, "reading", READERS)
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")

    def predict(model: str, *arguments: str) -> tuple[int, str, str]:
        weights_format.write(Path(f"{model}.safetensors"), {}, {"model": model, "config": {}})
        code = _exit_code(["predict", f"{model}.safetensors", *arguments])
        return code, *capsys.readouterr()

    yield predict
    sys.modules.pop("reading", None)


def picture(path: str | Path, gray: int = 200) -> Path:
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    Image.new("L", (6, 4), gray).save(path)
    return Path(path)


def pictures(folder: str, count: int) -> None:
    for number in range(1, count + 1):
        picture(f"{folder}/{number}.png", 20 * number)


def files_in(folder: str) -> list[str]:
    """Its files that are not hidden, with their sub-folders."""
    found = (path.relative_to(folder) for path in Path(folder).rglob("*") if path.is_file())
    return sorted(path.as_posix() for path in found if not path.name.startswith("."))


def table(path: str) -> list[dict[str, str]]:
    with Path(path).open(newline="") as file:
        return list(csv.DictReader(file))


def calls() -> list[str]:
    found: list[str] = sys.modules["reading"].Labeler.calls
    return found


def test_a_folder_is_predicted_into_a_folder_with_a_file_for_each_image_value(predict: Predict) -> None:
    pictures("photos", 3)
    code, out, err = predict("segmenter", "images=photos", "-o", "masks/")
    assert (code, out) == (0, "")
    assert files_in("masks") == [
        "1.png", "2.png", "3.png", "overlay/1.png", "overlay/2.png", "overlay/3.png", "predictions.csv",
    ]  # fmt: skip
    with Image.open("masks/1.png") as mask:
        assert (mask.mode, mask.size) == ("P", (6, 4))
    assert [row["file"] for row in table("masks/predictions.csv")] == ["1.png", "2.png", "3.png"]
    assert table("masks/predictions.csv")[0]["fraction.bright"] == "0.0"
    assert "3 predictions to masks/" in err


def test_the_newest_run_of_a_plan_is_found_by_its_name_though_it_is_no_recipe(predict: Predict) -> None:
    pictures("photos", 2)
    for time_stamp in ("1", "2"):
        Path(f"runs/fit-cells/{time_stamp}").mkdir(parents=True)
        file = Path(f"runs/fit-cells/{time_stamp}/model.safetensors")
        weights_format.write(file, {}, {"model": "segmenter", "config": {}})
        os.utime(file, (int(time_stamp), int(time_stamp)))
    assert _exit_code(["predict", "fit-cells", "images=photos", "-o", "out/"]) == 0
    assert files_in("out") == ["1.png", "2.png", "overlay/1.png", "overlay/2.png", "predictions.csv"]
    assert _exit_code(["predict", "fit-cell", "images=photos", "-o", "out/"]) == 2


def test_plain_values_of_all_files_are_one_table_in_natural_order(predict: Predict) -> None:
    pictures("photos", 11)
    assert predict("labeler", "images=photos", "-o", "out.csv")[0] == 0
    rows = table("out.csv")
    assert [row["file"] for row in rows] == [f"{number}.png" for number in range(1, 12)]
    assert rows[9] == {"file": "10.png", "label": "10", "value": "0.784"}
    assert predict("labeler", "images=photos", "-o", "out.json")[0] == 0
    assert json.loads(Path("out.json").read_text())[1] == {"file": "2.png", "label": "2", "value": 0.157}
    assert [name for name in os.listdir() if "out" in name] == ["out.csv", "out.json"]  # nothing hidden is left


def test_without_an_output_there_is_a_line_of_json_for_each_file(predict: Predict) -> None:
    pictures("photos", 2)
    code, out, _ = predict("labeler", "images=photos")
    assert code == 0
    assert [json.loads(line)["label"] for line in out.splitlines()] == [["1"], ["2"]]


def test_patterns_lists_and_several_folders_name_files_too(predict: Predict) -> None:
    picture("a/1.png"), picture("b/1.png"), picture("b/c/2.png"), picture("b/3.jpg"), picture("~.png")
    Path("b/list.txt").write_text("c/2.png\n\n  \n3.jpg\r\n")
    cases = {
        "images=*/*.png": ["a/1.png", "b/1.png"],
        "images=b/**/*.png": ["1.png", "c/2.png"],
        "images=b/list.txt": ["3.jpg", "c/2.png"],
        "images=[a,b/c]": ["a/1.png", "b/c/2.png"],
        "images=~.png": ["~.png"],
        "images=[~.png,a]": ["a/1.png", "~.png"],
        "images=b": ["1.png", "3.jpg", "c/2.png"],
        "images=b/1.png": ["1.png"],
    }
    for argument, expected in cases.items():
        code, out, err = predict("labeler", argument)
        assert code == 0, err
        assert [json.loads(line)["file"] for line in out.splitlines()] == expected


def test_a_list_is_relative_to_its_folder_or_to_the_working_folder_but_not_to_both(predict: Predict) -> None:
    picture("photos/1.png"), picture("2.png"), picture("3.png", 1), picture("photos/3.png", 2)
    Path("photos/list.txt").write_text("1.png\n2.png\n")
    code, out, _ = predict("labeler", "images=photos/list.txt")
    assert (code, len(out.splitlines())) == (0, 2)
    Path("photos/list.txt").write_text("3.png\n")
    code, _, err = predict("labeler", "images=photos/list.txt")
    assert code == 2
    assert "3.png is a file in photos and another one in the working folder." in err


def test_names_that_are_equal_keep_their_sub_folders_or_their_endings(predict: Predict) -> None:
    picture("photos/a/1.png"), picture("photos/b/1.png"), picture("photos/2.png"), picture("photos/2.bmp")
    assert predict("segmenter", "images=photos", "-o", "out/", "--format", "npy")[0] == 0
    assert [name for name in files_in("out") if "overlay" not in name] == [
        "2.bmp.npy", "2.png.npy", "a/1.npy", "b/1.npy", "predictions.csv",
    ]  # fmt: skip
    assert np.load("out/a/1.npy").shape == (4, 6)


@pytest.mark.parametrize("ending", ["png", "tif", "npy", "json"])
def test_the_format_of_the_files_can_be_chosen(predict: Predict, ending: str) -> None:
    pictures("photos", 2)
    assert predict("segmenter", "images=photos", "-o", "out", "--format", ending)[0] == 0
    assert f"1.{ending}" in files_in("out")
    if ending in ("png", "tif"):
        with Image.open(f"out/2.{ending}") as mask:
            assert (np.asarray(mask) == 0).all()
            assert mask.mode == "P"


def test_a_second_call_computes_only_what_is_missing(predict: Predict) -> None:
    pictures("photos", 3)
    assert predict("labeler", "images=photos", "-o", "out/")[0] == 0
    picture("photos/4.png")
    calls().clear()
    code, _, err = predict("labeler", "images=photos", "-o", "out/")
    assert (code, calls()) == (0, ["photos/4.png"])
    assert "3 were finished before" in err
    assert len(table("out/predictions.csv")) == 4


def test_the_temporary_files_of_a_killed_prediction_are_deleted_by_the_next_one(predict: Predict) -> None:
    pictures("photos/a", 3)
    assert predict("segmenter", "images=photos", "-o", "out/")[0] == 0
    journal = Path("out/.zoo-predictions.jsonl")
    lines = journal.read_text().splitlines()
    unfinished = [line for line in lines if '"end": "a/2.png"' not in line]
    assert len(unfinished) == len(lines) - 1
    journal.write_text("\n".join(unfinished) + '\n{"end": "a/2.p')
    names = ["a/.2.png.77-0a1b2c3d.part.png", "overlay/a/.2.png.77-1b2c3d4e.part.png"]
    names += [".predictions.csv.77-2c3d4e5f.part", "..zoo-predictions.jsonl.77-3d4e5f6a.part"]
    for name in names:
        (Path("out") / name).write_bytes(b"half")
    code, _, err = predict("segmenter", "images=photos", "-o", "out/")
    assert (code, "1 prediction to out/" in err) == (0, True), err
    hidden = {path.name for path in Path("out").rglob(".*")}
    assert hidden == {".zoo-predictions.jsonl"}
    assert len(table("out/predictions.csv")) == 3


def test_a_deleted_file_is_computed_again(predict: Predict) -> None:
    pictures("photos", 2)
    predict("segmenter", "images=photos", "-o", "out/")
    Path("out/2.png").unlink()
    code, _, err = predict("segmenter", "images=photos", "-o", "out/")
    assert (code, Path("out/2.png").is_file()) == (0, True)
    assert "1 prediction to out/" in err


@pytest.mark.parametrize("output", ["out/", "out.csv"])
def test_a_file_that_fails_is_named_the_rest_goes_on_and_a_second_call_tries_it_again(
    predict: Predict, output: str
) -> None:
    pictures("photos", 3)
    Path("photos/2.png").write_bytes(b"no image")
    code, _, err = predict("labeler", "images=photos", "-o", output)
    assert code == 1
    lines = err.splitlines()
    assert [line for line in lines if line.startswith("failed: ")] == [
        "failed: photos/2.png is not a supported image file. " + lines[0].partition("file. ")[2]
    ]
    assert lines[-2] == "error: 1 of 3 files failed."
    place = "out/predictions.csv" if output == "out/" else output
    assert [row["label"] for row in table(place)] == ["1", "3"]
    picture("photos/2.png")
    calls().clear()
    code, _, err = predict("labeler", "images=photos", "-o", output)
    assert (code, calls()) == (0, ["photos/2.png"]), err
    assert [row["label"] for row in table(place)] == ["1", "2", "3"]
    assert [name for name in os.listdir() if name.startswith(".")] == []


def test_pipes_links_to_nothing_and_unreadable_files_fail_by_themselves(predict: Predict) -> None:
    picture("photos/good.png")
    os.mkfifo("photos/pipe.png")
    Path("photos/nowhere.png").symlink_to("missing.png")
    Path("photos/empty.png").touch()
    (picture("photos/-dash.png"), picture("photos/new\nline\x1b[31m.png"), picture(f"photos/{'n' * 240}.png"))
    Path("photos/list.txt").write_text("good.png\nmissing.png\n")
    code, _, err = predict("segmenter", "images=photos", "-o", "out/")
    assert code == 1
    failed = [line for line in err.splitlines() if line.startswith("failed: ")]
    assert len(failed) == 3
    assert "pipe.png is a pipe, but should be a file." in " ".join(failed)
    assert "\x1b" not in err
    assert {"good.png", "-dash.png", f"{'n' * 240}.png", "new\nline\x1b[31m.png"} <= set(files_in("out"))
    assert any(row["file"] == "'-dash.png" for row in table("out/predictions.csv"))
    code, _, err = predict("segmenter", "images=photos/list.txt")
    assert (code, "a class map as 'mask', but no file is given." in err) == (2, True)
    code, _, err = predict("labeler", "images=photos/list.txt")
    assert code == 1
    assert "missing.png does not exist" in err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["images=nowhere"], "images is nowhere, which does not exist."),
        (["images=empty"], "images is empty, where there are no files ending in .png"),
        (["images=texts"], "2 files ending in .md"),
        (["images=*.gif"], "images is *.gif, where there are no files"),
        (["images=none.txt"], "images is none.txt, where there are no files"),
        (["images=[]"], "images is empty."),
        (["images="], "images is empty"),
        (["image=photos"], "image is photos, a folder, but should be a file."),
        (["images=photos", "-o", "out.png"], "out.png is one file, but the predictions of many files go into"),
        (["images=photos", "-o", "out.xyz"], "out.xyz should end in"),
        (["images=photos", "-o", "photos/"], "photos is the folder of the inputs."),
        (["images=photos", "-o", "none.txt/out"], "none.txt/out can't be a folder: Not a directory."),
        (["images=photos", "-o", "out/", "--format", "mp4"], "--format is 'mp4', but should be one of"),
        (["images=photos", "-o", "out.csv", "--format", "npy"], "--format is for the files in a folder"),
        (["images=photos", "imagse=photos"], "can't be called"),
        (["image=photos/1.png", "-o", "out/"], "out/ is a folder, which is for the predictions of many files."),
        (["images=photos", "-o", "there.csv"], "there.csv exists, and nothing is overwritten."),
        (["images=photos", "-o", f"{'n' * 300}.csv"], "could not be written: File name too long."),
        (["images=photos", "-o", "out/", "--format", "gif"], "should end in .png: class indices"),
        (["images=photos", "-o", "out/", "--format", "wav"], "should be audio, but the model predicts"),
    ],
    ids=lambda value: " ".join(value)[:40] if isinstance(value, list) else "",
)
def test_a_mistake_is_two_lines_and_leaves_nothing_behind(predict: Predict, arguments: list[str], message: str) -> None:
    pictures("photos", 2)
    Path("empty").mkdir()
    Path("texts").mkdir()
    (Path("texts/a.md").touch(), Path("texts/b.md").touch(), Path("none.txt").touch(), Path("there.csv").touch())
    before = sorted(os.listdir())
    code, out, err = predict("segmenter", *arguments)
    assert (code, out) == (2, "")
    lines = [line for line in err.splitlines() if not line.startswith(("failed", "note", "left out"))]
    assert len(lines) == 2, err
    assert message in lines[0]
    assert sorted(set(os.listdir()) - {"segmenter.safetensors"}) == before
    assert sorted(os.listdir("photos")) == ["1.png", "2.png"]


@pytest.mark.parametrize(
    ("model", "argument", "message", "hint"),
    [
        ("both", "images=photos", "images is given, which Both with these weights does not predict from.", "clips=FOL"),
        ("clips", "images=photos", "unexpected keyword argument 'images'", "frames; for many files, clips=FOLDER."),
        ("drawn", "images=photos", "unexpected keyword argument 'images'", "are: seed; none of them is a file."),
        ("drawn", "image=photos/1.png", "unexpected keyword argument 'image'", "none of them is a file."),
    ],
)
def test_files_that_a_model_does_not_take_are_refused_before_anything_is_computed(
    predict: Predict, model: str, argument: str, message: str, hint: str
) -> None:
    pictures("photos", 12)
    code, _, err = predict(model, argument, "-o", "out/")
    lines = err.splitlines()
    assert (code, len(lines), message in lines[0], hint in lines[1]) == (2, 2, True, True), err
    assert not Path("out").exists()


def test_a_name_that_the_table_of_all_files_needs_is_refused_before_anything_is_computed(predict: Predict) -> None:
    pictures("photos/predictions.csv", 2)
    code, _, err = predict("segmenter", "images=photos", "-o", "out/")
    assert (code, "but the input predictions.csv/1.png is in a folder of that name." in err) == (2, True), err
    assert not Path("out").exists()
    pictures("others", 2)
    for make in (Path.mkdir, Path.touch):
        Path("out").mkdir(exist_ok=True)
        make(Path("out/predictions.csv"))
        code, _, err = predict("segmenter", "images=others", "-o", "out/")
        assert (code, "out/predictions.csv " in err, os.listdir("out")) == (2, True, ["predictions.csv"]), err
        if make is Path.mkdir:
            Path("out/predictions.csv").rmdir()
    assert predict("segmenter", "images=others", "-o", "out/", "--overwrite")[0] == 0
    assert len(table("out/predictions.csv")) == 2


def test_existing_files_are_not_overwritten_without_the_option(predict: Predict) -> None:
    pictures("photos", 2)
    Path("out").mkdir()
    Path("out/2.png").write_text("mine")
    code, _, err = predict("segmenter", "images=photos", "-o", "out/")
    assert code == 2
    assert "out/2.png exists, and nothing is overwritten." in err
    assert (os.listdir("out"), Path("out/2.png").read_text()) == (["2.png"], "mine")
    assert predict("segmenter", "images=photos", "-o", "out/", "--overwrite")[0] == 0
    with Image.open("out/2.png") as mask:
        assert mask.size == (6, 4)


def test_predictions_with_other_arguments_or_of_changed_files_are_not_mixed(predict: Predict) -> None:
    pictures("photos", 2)
    assert predict("segmenter", "images=photos", "-o", "out/")[0] == 0
    code, _, err = predict("segmenter", "images=photos", "threshold=0.1", "-o", "out/")
    assert (code, "out holds predictions with other arguments." in err) == (2, True)
    assert predict("segmenter", "images=photos", "threshold=0.1", "-o", "out/", "--overwrite")[0] == 0
    picture("photos/1.png", 7)
    os.utime("photos/1.png", (1, 1))
    code, _, err = predict("segmenter", "images=photos", "threshold=0.1", "-o", "out/")
    assert (code, "photos/1.png changed after out/ was written." in err) == (2, True)


def test_outputs_in_the_folder_of_the_inputs_are_no_inputs(predict: Predict) -> None:
    pictures("photos", 2)
    for _ in range(2):
        assert predict("segmenter", "images=photos", "-o", "photos/masks/")[0] == 0
    assert len(table("photos/masks/predictions.csv")) == 2


def test_a_link_that_leads_back_is_not_followed(predict: Predict) -> None:
    pictures("photos", 2)
    Path("photos/again").symlink_to("..", target_is_directory=True)
    code, out, _ = predict("labeler", "images=photos")
    assert (code, len(out.splitlines())) == (0, 2)


def test_what_a_model_can_batch_is_predicted_at_once_and_a_bad_file_is_found(predict: Predict) -> None:
    pictures("photos", 7)
    picture("photos/5.png", 0)
    code, _, err = predict("batcher", "images=photos", "-o", "out.csv", "--batch-size", "3")
    assert code == 1
    assert sys.modules["reading"].Batcher.sizes == [3, 3, 1, 1, 1, 1]
    assert "failed: photos/5.png: a black image has no value." in err
    assert [row["file"] for row in table("out.csv")] == [f"{number}.png" for number in (1, 2, 3, 4, 6, 7)]


def test_a_folder_of_frames_and_a_file_are_clips(predict: Predict) -> None:
    pictures("clips/a", 3)
    pictures("clips/b/c", 2)
    frames = [Image.new("L", (6, 4), 50 * number) for number in range(4)]
    frames[0].save("clips/d.gif", save_all=True, append_images=frames[1:])
    np.save("clips/e.npy", np.zeros((5, 4, 6), np.uint8))
    code, out, err = predict("clips", "clips=clips")
    assert code == 0, err
    found = {line["file"]: line["length"] for line in map(json.loads, out.splitlines())}
    assert found == {"a": 3, "b/c": 2, "d.gif": 4, "e.npy": 5}
    code, out, _ = predict("clips", "clips=clips/a")
    assert json.loads(out) == {"file": "a", "length": 3}
    assert predict("clips", "clips=clips", "-o", "out.csv")[0] == 0


@pytest.mark.parametrize("save", [np.save, np.savez, np.savez_compressed])
def test_each_clip_of_a_file_of_several_is_predicted(predict: Predict, save: Callable[..., None]) -> None:
    path = f"many.{'npy' if save is np.save else 'npz'}"
    save(path, np.zeros((3, 5, 8, 16), np.uint8))
    code, out, err = predict("clips", f"clips={path}")
    assert code == 0, err
    found = {line["file"]: line["length"] for line in map(json.loads, out.splitlines())}
    assert found == {f"{path}#clip={number}": 5 for number in range(3)}
    assert predict("clips", f"clips={path}", "-o", "out/", "--format", "json")[0] == 0
    assert sorted(file.name for file in Path("out").glob("*.json")) == [f"many-{number}.json" for number in range(3)]
    save(path, np.zeros((3, 6, 8, 16), np.uint8))
    assert predict("clips", f"clips={path}", "-o", "out/", "--format", "json")[0] == 2  # the file has changed


def test_images_beside_clips_are_left_out_and_the_clips_are_predicted(predict: Predict) -> None:
    pictures("clips", 2)
    pictures("clips/a", 3)
    np.save("clips/e.npy", np.zeros((5, 4, 6), np.uint8))
    code, out, err = predict("clips", "clips=clips")
    assert code == 0, err
    assert {line["file"] for line in map(json.loads, out.splitlines())} == {"a", "e.npy"}
    assert "left out: 2 files ending in .png" in err


def test_a_path_takes_any_file_and_other_arguments_are_the_same_for_all(predict: Predict) -> None:
    Path("texts").mkdir()
    Path("texts/a.md").write_text("banana")
    Path("texts/2024").write_text("no")
    code, out, _ = predict("pages", "pages=texts", "word=n")
    assert code == 0
    assert [json.loads(line) for line in out.splitlines()] == [
        {"file": "2024", "count": 1, "first": "n"},
        {"file": "a.md", "count": 2, "first": "b"},
    ]


def test_a_text_is_a_file_only_if_it_is_called_so(predict: Predict) -> None:
    pictures("photos", 2)
    Path("prompts.txt").write_text("b")
    code, out, _ = predict("named", "images=photos", "prompt=b")
    assert (code, [json.loads(line)["prompt"] for line in out.splitlines()]) == (0, ["b", "b"])
    code, _, err = predict("named", "image=photos/1.png", "prompts=prompts.txt")
    assert code == 2
    assert "Its arguments are: image, prompt; for many files, images=FOLDER." in err


def test_rows_of_tables_are_rows_of_the_table_of_all_files(predict: Predict) -> None:
    Path("texts").mkdir()
    (Path("texts/a.md").touch(), Path("texts/b.md").touch())
    assert predict("tables", "pages=texts", "-o", "out.csv")[0] == 0
    assert [tuple(row.values()) for row in table("out.csv")] == [
        ("a.md", "2", "1", "a"), ("a.md", "2", "2", "'=b"), ("b.md", "2", "1", "a"), ("b.md", "2", "2", "'=b"),
    ]  # fmt: skip


def test_the_name_is_judged_by_the_declared_outputs_before_anything_is_computed(predict: Predict) -> None:
    Path("a.md").touch()
    for arguments in (["page=a.md", "-o", "x.csv"], ["pages=a.md", "-o", "x.csv"]):
        code, _, err = predict("wrong", *arguments)
        assert code == 2
        assert "x.csv should be a table, but the model predicts images as 'image'." in err


def test_files_that_all_fail_alike_end_the_command(predict: Predict, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run, "_ALIKE", 3)
    Path("texts").mkdir()
    for number in range(9):
        Path(f"texts/{number}").touch()
    code, _, err = predict("wrong", "pages=texts", "-o", "out/")
    assert code == 2
    assert "error: the first 3 files failed alike: the model Wrong raised TypeError: never called" in err


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_ends_it_within_seconds_and_the_next_call_goes_on(
    predict: Predict, tmp_path: Path, number: signal.Signals, code: int
) -> None:
    Path("texts").mkdir()
    for one in range(40):
        Path(f"texts/{one}").touch()
    weights_format.write(Path("slow.safetensors"), {}, {"model": "slow", "config": {}})
    command = [sys.executable, "-m", "zoo_core", "predict", "slow.safetensors", "pages=texts", "-o", "out/"]
    path = os.pathsep.join([str(tmp_path / "site-packages"), *sys.path])
    with subprocess.Popen(
        command, env={**os.environ, "PYTHONPATH": path}, stderr=subprocess.PIPE, text=True
    ) as process:
        deadline = time.monotonic() + 120
        while len(list(Path("out").glob("*.png"))) < 3 and time.monotonic() < deadline:
            time.sleep(0.05)
        process.send_signal(number)
        begun = time.monotonic()
        _, err = process.communicate(timeout=20)
    assert (process.returncode, time.monotonic() - begun < 5) == (code, True), err
    done = {path.name: path.stat().st_mtime_ns for path in Path("out").glob("*.png")}
    assert 3 <= len(done) < 40
    assert "the same command goes on" in err
    assert not list(Path("out").glob(".*.part*"))
    exit_code, _, err = predict("slow", "pages=texts", "-o", "out/")
    assert (exit_code, len(list(Path("out").glob("*.png")))) == (0, 40)
    kept = [name for name, modified in done.items() if Path("out", name).stat().st_mtime_ns == modified]
    assert len(kept) >= len(done) - 3
