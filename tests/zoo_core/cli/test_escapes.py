"""No command sends the control characters of a name or a file to the terminal."""

from __future__ import annotations

import json
import os
import re
import subprocess
import warnings
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

import zoo_core as zoo
from zoo_core.training.opened import caught_warnings

EVIL = "e\x1b]0;P\x07\x1b[31mR\x1b[2J\u202e\x9b31m[/x]:smile:\nL\u2028\r"
RAW = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]|\nL")


@pytest.fixture(scope="module")
def evil_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run in a folder with an evil name, whose weights hold evil class names and an evil license."""
    path = tmp_path_factory.mktemp("evil") / EVIL / "run"
    run = zoo.run("digit-classifier-mnist", "run.steps=2", "run.batch_size=8", "dataset.source=subset", folder=path)
    assert run.step == 2
    return path


@pytest.mark.parametrize(
    "arguments",
    [
        ["top", "{}/..", "--once"],
        ["report", "{}"],
        ["info", "{}/model.safetensors"],
        ["eval", "{}", "dataset.source=subset"],
        ["predict", "{}", "image={}/absent.png"],
        ["predict", "{}", "images={}"],
        ["data", "check", "{}"],
        ["fit", "{}", "--plan-only"],
        ["run", "classify-images", "dataset.folder={}", "--print-config"],
        ["run", "{}"],
        ["run", "--resume", "{}/absent"],
        ["search", "{}"],
        ["{}"],
        ["new", "{}"],
        ["bench", "{}", "--device", "{}"],
        ["--traceback", "info", "{}"],
    ],
    ids=" ".join,
)
def test_no_command_sends_the_control_characters_of_a_name_to_the_terminal(run_command, evil_run, arguments) -> None:
    code, out, err = run_command(*[word.replace("{}", str(evil_run)) for word in arguments])
    assert code in (0, 1, 2)
    assert out or err
    assert not RAW.search(out + err), ascii(out + err)


@pytest.mark.parametrize(
    "registry",
    [
        "recipes:\n  a:\n    extends: {}\n",
        "recipes:\n  a:\n    {}: 1\n",
        "recipes:\n  {}:\n    summary: x\n",
        "recipes:\n  a:\n    extends: digit-classifier-mnist\n    summary: {}\n",
        "recipes:\n  a:\n    extends: digit-classifier-mnist\n    model: {{{}: 1}}\n",
        "{}: {{}}\n",
        "recipes:\n  a: {{{}: 1, {}: 2}}\n",
        "weights:\n  a: {{alias: {}}}\n",
        "weights:\n  a: {{{}: 1}}\n",
        "weights:\n  a: {{location: {}, sha256: {}}}\n",
        "weights:\n  a:\n    location: a.safetensors\n    sha256: " + "a" * 64 + "\n    license: {}\n    summary: {}\n"
        "    model: digit-classifier\n    deprecated: {}\n    metrics: {{{}: 1.0}}\n",
    ],
)
def test_no_command_sends_the_control_characters_of_a_registry_to_the_terminal(
    run_command, tmp_path: Path, registry: str
) -> None:
    text = '"e\\e]0;P\\a\\e[31mR\\e[2J\\u202e\\x9b31m\\nL\\u2028\\r"'
    (tmp_path / "registry.yaml").write_text(registry.replace("{{", "{").replace("}}", "}").replace("{}", text))
    commands = [
        "list",
        "list weights",
        "weights list",
        "info a",
        "run a --print-config",
        "weights verify a",
        "search e",
    ]
    for command in commands:
        _, out, err = run_command(*command.split())
        assert not RAW.search(out + err), (command, ascii(out + err))


def test_the_warnings_of_a_program_are_escaped_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("registry.yaml").write_text(
        f"weights:\n  old: {{alias: digit-classifier-mnist, deprecated: {json.dumps(EVIL)}}}\n"
    )
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        zoo.load("old", registry=["registry.yaml"])
        with caught_warnings() as notes:  # of a dataset
            warnings.warn(f"a file is called {EVIL}", stacklevel=1)
    messages = [*(str(one.message) for one in caught), *notes]
    assert len(messages) == 2
    for message in messages:
        assert r"\x1b]0;P" in message
        assert not RAW.search(message), ascii(message)


def test_the_class_names_of_a_weights_file_are_escaped(run_command, tmp_path: Path) -> None:
    for settings in ({"num_classes": 2, "class_names": [EVIL, EVIL]}, {EVIL: 1}, {"num_classes": EVIL}):
        metadata = {"format": 1, "model": "image-classifier", "settings": settings, "license": EVIL, "recipe": {}}
        path = tmp_path / "evil.safetensors"
        save_file({"weight": torch.zeros(1)}, path, {"zoo": json.dumps(metadata)})
        for command in ("info", "predict", "eval", "export", "bench"):
            _, out, err = run_command(command, str(path))
            assert out or err
            assert not RAW.search(out + err), (command, ascii(out + err))


def test_the_completion_of_names_is_escaped(tmp_path: Path) -> None:
    summary = '"e\\e]0;P\\a\\e[31mR\\u202e\\x9b31m\\nL\\u2028\\r"'
    recipe = f"recipes:\n  mine:\n    extends: digit-classifier-mnist\n    summary: {summary}\n"
    (tmp_path / "registry.yaml").write_text(recipe)
    typed = {"_ZOO_COMPLETE": "zsh_complete", "COMP_WORDS": "zoo run mi", "COMP_CWORD": "2"}
    done = subprocess.run(["zoo"], capture_output=True, text=True, cwd=tmp_path, env={**os.environ, **typed})
    assert done.stdout == "plain\nmine\ne\\x1b]0;P\\x07\\x1b[31mR\\u202e\\x9b31m\\nL\\u2028\\r\n"
