"""`zoo predict -o FILE`: images, clips, arrays, and masks with an overlay."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from distributions import install
from PIL import Image

from zoo_core.cli import _exit_code
from zoo_core.weights import format as weights_format

DRAWER = '''
    """A model whose argument selects its prediction."""

    from dataclasses import dataclass

    import torch

    import zoo_core as zoo


    @zoo.hookimpl
    def zoo_register(registry):
        registry.model("drawer", "drawing:Drawer", summary="Draws")
        registry.model("still", "drawing:Still", summary="Always predicts the same")
        registry.model("silent", "drawing:Silent", summary="Predicts nothing")


    class Still(zoo.Model):
        def predict(self):
            return {"probability": torch.tensor([0.25, 0.75])}


    class Silent(zoo.Model):
        pass


    class Drawer(zoo.Model):
        @dataclass(frozen=True, kw_only=True)
        class Config:
            pass

        def predict(self, what: str, count: int = 1):
            if what == "broken":
                return what + None
            number = torch.Generator().manual_seed(0)
            classes = torch.arange(12, dtype=torch.uint8).view(3, 4)
            return {
                "images": lambda: {"image": torch.rand(12, 1, 4, 5, generator=number)},
                "clips": lambda: {"clip": torch.rand(2, 6, 3, 4, 5, generator=number), "frames": 6},
                "classes": lambda: {"mask": classes, "overlay": torch.rand(1, 3, 3, 4, generator=number)},
                "label": lambda: {"label": [3], "probability": torch.tensor([0.5])},
            }[what]()
'''
Predict = Callable[..., tuple[int, str, str]]


@pytest.fixture
def predict(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Predict]:
    """`zoo predict` with the weights of a plugin's model; returns its exit code, stdout and stderr."""
    site = tmp_path / "site-packages"
    site.mkdir()
    monkeypatch.syspath_prepend(site)
    monkeypatch.setenv("ZOO_TRACEBACK", "")
    install(site, "drawing", DRAWER)
    folder = tmp_path / "work"
    folder.mkdir()
    monkeypatch.chdir(folder)
    weights_format.write(Path("drawer.safetensors"), {}, {"model": "drawer", "config": {}})

    def predict(*arguments: str) -> tuple[int, str, str]:
        code = _exit_code(["predict", "drawer.safetensors", *arguments])
        return code, *capsys.readouterr()

    yield predict
    sys.modules.pop("drawing", None)


def written() -> list[str]:
    return sorted(path.name for path in Path().iterdir() if path.name != "drawer.safetensors")


def size_of(name: str) -> tuple[int, int]:
    with Image.open(name) as image:
        return image.size


def test_images_are_written_as_a_grid_with_ten_columns(predict: Predict) -> None:
    code, out, err = predict("what=images", "-o", "a.png")
    assert (code, out) == (0, "")
    assert err.endswith("wrote a.png\n")
    assert size_of("a.png") == (10 * 7 + 2, 2 * 6 + 2)


def test_clips_are_written_as_an_animation_or_as_an_image_with_a_row_per_clip(predict: Predict) -> None:
    assert predict("what=clips", "-o", "a.gif")[0] == 0
    with Image.open("a.gif") as animation:
        assert (animation.n_frames, animation.size) == (6, (2 * 7 + 2, 6 + 2))
    assert predict("what=clips", "-o", "a.png")[0] == 0
    assert size_of("a.png") == (6 * 7 + 2, 2 * 6 + 2)
    assert written() == ["a.gif", "a.png"]


def test_an_array_has_the_values_of_the_prediction(predict: Predict) -> None:
    assert predict("what=clips", "-o", "a.npy")[0] == 0
    expected = torch.rand(2, 6, 3, 4, 5, generator=torch.Generator().manual_seed(0))
    assert np.array_equal(np.load("a.npy", allow_pickle=False), expected.numpy())


def test_a_mask_keeps_its_class_numbers_and_the_second_image_gets_its_name_appended(predict: Predict) -> None:
    code, _, err = predict("what=classes", "-o", "mask.png")
    assert code == 0
    assert err.splitlines() == ["wrote mask.png", "wrote mask-overlay.png"]
    assert written() == ["mask-overlay.png", "mask.png"]
    with Image.open("mask.png") as mask:
        assert mask.mode == "P"
        assert np.asarray(mask).tolist() == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 10, 11]]
    with Image.open("mask-overlay.png") as overlay:
        assert (overlay.mode, overlay.size) == ("RGB", (4, 3))


def test_a_mask_can_be_written_as_an_array(predict: Predict) -> None:
    assert predict("what=classes", "-o", "mask.npy")[0] == 0
    assert np.load("mask.npy").tolist() == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 10, 11]]
    assert np.load("mask-overlay.npy").shape == (1, 3, 3, 4)


def test_values_are_printed_or_written_as_json(predict: Predict) -> None:
    code, out, _ = predict("what=label")
    assert (code, json.loads(out)) == (0, {"label": [3], "probability": [0.5]})
    assert predict("what=label", "-o", "a.json")[0] == 0
    assert json.loads(Path("a.json").read_text()) == {"label": [3], "probability": [0.5]}


def test_an_existing_file_is_overwritten_with_the_option_only(predict: Predict) -> None:
    Path("mask-overlay.png").write_text("mine")
    code, _, err = predict("what=classes", "-o", "mask.png")
    assert (code, written(), Path("mask-overlay.png").read_text()) == (2, ["mask-overlay.png"], "mine")
    assert err.startswith("error: mask-overlay.png exists, and nothing is overwritten.\n")
    code, _, err = predict("what=classes", "-o", "mask.png", "--overwrite")
    assert (code, err.splitlines()) == (0, ["wrote mask.png", "replaced mask-overlay.png"])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["what=classes", "-o", "mask.gif"], "mask.gif should end in .png: class indices are stored losslessly."),
        (["what=classes", "-o", "mask.jpg"], "mask.jpg should end in .png: class indices are stored losslessly."),
        (["what=clips", "-o", "a.mp4"], "a.mp4 should end in .png, .tif, .gif, .npy, .txt, .csv, .wav or .json."),
        (["what=clips"], "the model predicts an image, but no file is given."),
        (["what=label", "-o", "a.png"], "a.png should be an image, but the model predicts a list as 'label' and"),
        (["what=clips", "-o", "nowhere/a.gif"], "nowhere/a.gif could not be written"),
        (["-o", "a.png"], "Drawer.predict can't be called: "),
        (["whta=clips", "-o", "a.png"], "Drawer.predict can't be called: "),
        (["what=label", "count=x", "-o", "a.png"], "count is 'x', but should be an int."),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_usage_error_has_a_hint_and_writes_nothing(predict: Predict, arguments: list[str], message: str) -> None:
    code, out, err = predict(*arguments)
    assert (code, out) == (2, "")
    (line, hint) = err.splitlines()
    assert line.startswith(f"error: {message}")
    assert hint.strip()
    assert written() == []


@pytest.mark.parametrize(
    ("model", "arguments", "code", "message"),
    [
        ("still", [], 0, '"probability": ['),
        ("still", ["seed=3"], 2, "It takes no arguments."),
        ("silent", [], 2, "Silent does not support predict."),
    ],
)
def test_a_model_may_predict_without_arguments(
    predict: Predict, model: str, arguments: list[str], code: int, message: str
) -> None:
    weights_format.write(Path("drawer.safetensors"), {}, {"model": model, "config": {}})
    found, out, err = predict(*arguments)
    assert found == code, err
    assert message in out + err


def test_an_error_in_the_model_is_attributed_to_it(predict: Predict) -> None:
    code, _, err = predict("what=broken", "-o", "a.png")
    assert code == 1
    assert 'the model Drawer raised TypeError: can only concatenate str (not "NoneType") to str (' in err
    assert "/drawing.py, line " in err


def test_an_argument_that_is_given_twice_is_refused(predict: Predict) -> None:
    code, _, err = predict("what=label", "what=clips")
    assert (code, err.splitlines()[0]) == (2, "error: what is given twice.")
