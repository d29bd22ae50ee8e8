"""Looking around is quick: the commands that only read names import nothing heavy."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

HEAVY = {"torch", "torchvision", "numpy", "accelerate", "optuna", "matplotlib", "onnx", "onnxruntime", "gradio"}
PROGRAM = """
import json, sys
from zoo_core.cli import _exit_code
code = _exit_code(sys.argv[1:])
print(json.dumps({"code": code, "modules": sorted(sys.modules)}), file=sys.stderr)
"""


def typed_in(folder: Path, words: list[str]) -> subprocess.CompletedProcess[str]:
    """The command, whose last line on stderr are its exit code and what it imported."""
    command = [sys.executable, "-c", PROGRAM, *words]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=120)


@pytest.mark.parametrize(
    ("words", "shows"),
    [
        (["--help"], "Train a recipe."),
        (["--version"], "zoo "),
        (["list"], "clsgan-mnist"),
        (["list", "recipes", "--json"], '"clsgan-mnist"'),
        (["list", "models"], "digit-classifier"),
        (["list", "trainers"], "clsgan"),
        (["list", "datasets"], "mnist"),
        (["list", "weights"], ""),
        (["weights", "list"], "digit-classifier-mnist"),
        (["weights", "--help"], "publish"),
        (["weights", "remove", "--help"], "fetched"),
        (["eval", "--help"], "--tolerance"),
        (["reproduce", "--help"], "--folder"),
        (["list", "plugins"], "zoo-core"),
        (["list", "--tag", "gan"], "gan-mnist"),
        (["search", "gan"], "gan-mnist"),
        (["plugins"], "zoo-core"),
        (["plugins", "show", "unet"], "unet"),
        (["top", "--once"], "no runs in"),
        (["info", "clsgan-mnist"], "run.steps"),
        (["info", "clsgan-mnist", "--json"], '"run.steps"'),
        (["info", "next-frame"], "averaging"),
        (["info", "mnist"], "subset"),
        (["run", "--help"], "--resume"),
        (["run", "clsgan-mnist", "--print-config"], "latent_dim: 96"),
        (["run", "clsgan-mnist", "trainer.betas=[0.5, 0.9]", "--print-config"], "- 0.9"),
        (["run", "unet-moving-mnist", "--print-config"], "frames_in: 10"),
        (["sweep", "--help"], "--metric"),
        (["predict", "--help"], "--output"),
        (["export", "--help"], "--tolerance"),
        (["bench", "--help"], "--predict"),
        (["demo", "--help"], "--no-browser"),
    ],
    ids=" ".join,
)
def test_a_command_that_reads_names_imports_nothing_heavy(tmp_path: Path, words: list[str], shows: str) -> None:
    done = typed_in(tmp_path, words)

    told = json.loads(done.stderr.splitlines()[-1])
    assert told["code"] == 0, done.stderr
    assert shows in done.stdout
    assert (HEAVY | {"omegaconf"}) & set(told["modules"]) == set()


def test_a_run_with_previews_does_without_torchvision(tmp_path: Path) -> None:
    words = [
        "run",
        "gan-mnist",
        "dataset.source=subset",
        "run.steps=2",
        "run.preview_every=1",
        "trainer.eval_classifier=null",
    ]
    done = typed_in(tmp_path, [*words, "--folder", "here"])
    told = json.loads(done.stderr.splitlines()[-1])
    assert told["code"] == 0, done.stderr
    assert "torchvision" not in told["modules"]
    assert (tmp_path / "here" / "previews" / "step-000002.png").is_file()


def test_info_of_a_weights_file_reads_its_header_without_torch(tmp_path: Path) -> None:
    import torch

    from zoo_core.weights.format import write

    write(tmp_path / "a.safetensors", {"w": torch.zeros(2, 3)}, {"model": "line", "config": {"inputs": 3}})
    words = ["info", "a.safetensors"]
    done = typed_in(tmp_path, words)
    told = json.loads(done.stderr.splitlines()[-1])
    assert (told["code"], done.stdout.splitlines()[0]) == (0, "file a.safetensors: model 'line'")
    assert {"torch", "torchvision", "accelerate"} & set(told["modules"]) == set()


def test_importing_zoo_imports_nothing_heavy() -> None:
    program = "import sys, zoo_core as zoo; zoo.list(); zoo.hookimpl; zoo.Registry; zoo.setting; zoo.ZooError; "
    program += "print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=120)
    assert HEAVY & set(done.stdout.split()) == set()


def test_a_misspelt_recipe_is_told_before_anything_heavy_is_imported(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, "run", "clsgan-mnits"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
    )
    told = json.loads(done.stderr.splitlines()[-1])
    assert told["code"] == 2
    assert HEAVY & set(told["modules"]) == set()


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["run", "clsgan-mnist", "trainer.los=1"], "Did you mean 'trainer.loss'?"),
        (["run", "clsgan-mnist", "model.latent_dim=many"], "should be an int"),
        (["run", "unet-masks"], "model.out_channels is missing"),
    ],
    ids=" ".join,
)
def test_a_mistake_in_a_setting_is_told_without_the_seconds_that_torch_takes(
    tmp_path: Path, words: list[str], told: str
) -> None:
    done = typed_in(tmp_path, words)
    *said, last = done.stderr.splitlines()
    assert json.loads(last)["code"] == 2
    assert told in " ".join(said)
    assert HEAVY & set(json.loads(last)["modules"]) == set()
    assert not list(tmp_path.iterdir())
