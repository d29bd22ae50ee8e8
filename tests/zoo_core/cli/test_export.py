"""``zoo export``: what it prints, and what it says of a mistake; and nothing is written then."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from zoo_core.tools import extras

NAME = "digit-classifier-mnist"


@pytest.fixture
def export(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, typed):
    """The command in a working folder of its own: its exit code, and what it says."""
    folder = tmp_path / "here"
    folder.mkdir()
    monkeypatch.chdir(folder)
    monkeypatch.setenv("ZOO_DATA", str(tmp_path / "data"))
    return lambda *words: typed("export", *words)


def test_it_says_what_it_wrote_and_how_far_it_is_from_the_model(export) -> None:
    code, out, err = export(NAME)
    assert (code, err) == (0, "")
    assert [path.name for path in Path().iterdir()] == [f"{NAME}.onnx"]
    for line in (
        f"{NAME}.onnx: model 'digit-classifier', trained by the recipe '{NAME}'",
        "license  Apache-2.0",
        "input    image: float32 (batch, 1, 28, 28)",
        "open     batch\n",
        "fixed    size: the model accepts only the size 28 x 28",
        "real: mnist, 4x1x28x28",
        "The largest difference is ",
    ):
        assert line in out


def test_as_json(export) -> None:
    code, out, _ = export(NAME, "-o", "digits.pt2", "--json")
    told = json.loads(out)
    assert code == 0
    assert Path("digits.pt2").is_file()
    assert (told["format"], told["dynamic"], told["no_real_input"]) == ("torch-export", ["batch"], None)
    assert told["largest_difference"] == max(check["exported program"] for check in told["checks"])


@pytest.mark.parametrize(
    ("words", "problem", "hint"),
    [
        (["digit-clasifier-mnist"], "no weights are called", "Did you mean"),
        ([NAME, "-o", "a.tflite"], "a.tflite should end in .onnx or .pt2.", "Write -o a.onnx"),
        ([NAME, "-o", "a.pt2", "--format", "onnx"], "a.pt2 should end in .onnx.", "Write -o a.onnx"),
        ([NAME, "-o", "no/a.onnx"], "the folder no does not exist.", "mkdir -p no"),
    ],
    ids=lambda words: " ".join(words) if isinstance(words, list) else "",
)
def test_a_mistake_is_named_and_nothing_is_written(export, words: list[str], problem: str, hint: str) -> None:
    code, out, err = export(*words)
    assert (code, out) == (2, "")
    first, second = err.splitlines()
    assert problem in first
    assert hint in second
    assert list(Path().iterdir()) == []


def test_a_file_that_is_there_stays(export) -> None:
    Path("a.onnx").write_text("mine")
    code, _, err = export(NAME, "-o", "a.onnx")
    assert code == 2
    assert "a.onnx already exists, and is not overwritten." in err
    assert Path("a.onnx").read_text() == "mine"


def test_too_strict_a_tolerance_is_exit_code_1_and_no_file(export) -> None:
    code, _, err = export(NAME, "--tolerance", "1e-12")
    assert code == 1
    assert "is not written: it differs from the model by " in err
    assert list(Path().iterdir()) == []


def test_a_missing_extra_is_told_before_anything_is_loaded(export, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(extras, "find_spec", lambda name: None)
    code, _, err = export(NAME)
    assert code == 2
    assert "needs onnx and onnxruntime and onnxscript, which are not installed." in err
    assert "pip install 'zoo-core[export]'" in err
