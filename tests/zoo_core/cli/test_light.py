"""Commands that only list and describe import nothing heavy."""

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


def run_in(folder: Path, arguments: list[str]) -> subprocess.CompletedProcess[str]:
    """Run a command; the last line on stderr contains its exit code and the imported modules."""
    command = [sys.executable, "-c", PROGRAM, *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=120)


@pytest.mark.parametrize(
    ("arguments", "shows"),
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
        (["weights", "remove", "--help"], "downloaded"),
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
        (["info", "next-frame"], "ema_decay"),
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
def test_a_command_that_lists_or_describes_imports_nothing_heavy(
    tmp_path: Path, arguments: list[str], shows: str
) -> None:
    done = run_in(tmp_path, arguments)

    result = json.loads(done.stderr.splitlines()[-1])
    assert result["code"] == 0, done.stderr
    assert shows in done.stdout
    assert (HEAVY | {"omegaconf"}) & set(result["modules"]) == set()


def test_a_run_with_previews_does_not_import_torchvision(tmp_path: Path) -> None:
    arguments = [
        "run",
        "gan-mnist",
        "dataset.source=subset",
        "run.steps=2",
        "run.preview_every=1",
        "trainer.eval_classifier=null",
    ]
    done = run_in(tmp_path, [*arguments, "--folder", "run"])
    result = json.loads(done.stderr.splitlines()[-1])
    assert result["code"] == 0, done.stderr
    assert "torchvision" not in result["modules"]
    assert (tmp_path / "run" / "previews" / "step-000002.png").is_file()


def test_info_of_a_weights_file_reads_its_header_without_torch(tmp_path: Path) -> None:
    import torch

    from zoo_core.weights.format import write

    write(tmp_path / "a.safetensors", {"w": torch.zeros(2, 3)}, {"model": "line", "config": {"inputs": 3}})
    arguments = ["info", "a.safetensors"]
    done = run_in(tmp_path, arguments)
    result = json.loads(done.stderr.splitlines()[-1])
    assert (result["code"], done.stdout.splitlines()[0]) == (0, "file a.safetensors: model 'line'")
    assert {"torch", "torchvision", "accelerate"} & set(result["modules"]) == set()


def test_importing_zoo_imports_nothing_heavy() -> None:
    program = "import sys, zoo_core as zoo; zoo.list(); zoo.hookimpl; zoo.Registry; zoo.setting; zoo.ZooError; "
    program += "print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=120)
    assert HEAVY & set(done.stdout.split()) == set()


def test_a_misspelt_recipe_is_reported_before_anything_heavy_is_imported(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, "run", "clsgan-mnits"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
    )
    result = json.loads(done.stderr.splitlines()[-1])
    assert result["code"] == 2
    assert HEAVY & set(result["modules"]) == set()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["run", "clsgan-mnist", "trainer.los=1"], "Did you mean 'trainer.loss'?"),
        (["run", "clsgan-mnist", "model.latent_dim=many"], "should be an int"),
        (["run", "unet-masks"], "model.out_channels is missing"),
    ],
    ids=" ".join,
)
def test_an_invalid_setting_is_reported_without_importing_torch(
    tmp_path: Path, arguments: list[str], message: str
) -> None:
    done = run_in(tmp_path, arguments)
    *lines, last = done.stderr.splitlines()
    assert json.loads(last)["code"] == 2
    assert message in " ".join(lines)
    assert HEAVY & set(json.loads(last)["modules"]) == set()
    assert not list(tmp_path.iterdir())
