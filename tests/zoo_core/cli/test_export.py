"""``zoo export``: its output, and its usage errors, which write nothing."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from zoo_core.tools import extras

NAME = "digit-classifier-mnist"


@pytest.fixture
def export(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, run_command):
    """Run the command in an empty working directory; returns its exit code, stdout and stderr."""
    folder = tmp_path / "work"
    folder.mkdir()
    monkeypatch.chdir(folder)
    monkeypatch.setenv("ZOO_DATA", str(tmp_path / "data"))
    return lambda *arguments: run_command("export", *arguments)


def test_the_output_describes_the_file_and_its_difference_from_the_model(export) -> None:
    code, out, err = export(NAME)
    assert (code, err) == (0, "")
    assert [path.name for path in Path().iterdir()] == [f"{NAME}.onnx"]
    for line in (
        f"{NAME}.onnx: model 'digit-classifier', trained by the recipe '{NAME}'",
        "license  Apache-2.0",
        "input    image: float32 (batch, 1, 28, 28)",
        "dynamic  batch\n",
        "fixed    size: the model accepts only the size 28 x 28",
        "real: mnist, 4x1x28x28",
        "The largest difference is ",
    ):
        assert line in out


def test_as_json(export) -> None:
    code, out, _ = export(NAME, "-o", "digits.pt2", "--json")
    document = json.loads(out)
    assert code == 0
    assert Path("digits.pt2").is_file()
    assert (document["format"], document["dynamic"], document["no_real_input"]) == ("torch-export", ["batch"], None)
    assert document["largest_difference"] == max(check["exported program"] for check in document["checks"])


@pytest.mark.parametrize(
    ("arguments", "message", "hint"),
    [
        (["digit-clasifier-mnist"], "no weights are called", "Did you mean"),
        ([NAME, "-o", "a.tflite"], "a.tflite should end in .onnx or .pt2.", "Write -o a.onnx"),
        ([NAME, "-o", "a.pt2", "--format", "onnx"], "a.pt2 should end in .onnx.", "Write -o a.onnx"),
        ([NAME, "-o", "no/a.onnx"], "the folder no does not exist.", "mkdir -p no"),
    ],
    ids=lambda arguments: " ".join(arguments) if isinstance(arguments, list) else "",
)
def test_a_usage_error_has_a_hint_and_writes_nothing(export, arguments: list[str], message: str, hint: str) -> None:
    code, out, err = export(*arguments)
    assert (code, out) == (2, "")
    first, second = err.splitlines()
    assert message in first
    assert hint in second
    assert list(Path().iterdir()) == []


def test_an_existing_file_is_not_overwritten(export) -> None:
    Path("a.onnx").write_text("mine")
    code, _, err = export(NAME, "-o", "a.onnx")
    assert code == 2
    assert "a.onnx already exists, and is not overwritten." in err
    assert Path("a.onnx").read_text() == "mine"


def test_a_difference_above_the_tolerance_gives_exit_code_1_and_no_file(export) -> None:
    code, _, err = export(NAME, "--tolerance", "1e-12")
    assert code == 1
    assert "is not written: it differs from the model by " in err
    assert list(Path().iterdir()) == []


def test_a_missing_extra_is_reported_before_anything_is_loaded(export, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(extras, "find_spec", lambda name: None)
    code, _, err = export(NAME)
    assert code == 2
    assert "needs onnx and onnxruntime and onnxscript, which are not installed." in err
    assert "pip install 'zoo-core[export]'" in err
