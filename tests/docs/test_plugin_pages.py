"""The code of docs/plugins works as it is written."""

from __future__ import annotations

import csv
import json
import os
import re
import subprocess
import sys
from hashlib import sha256
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch
from PIL import Image
from repository import ROOT
from warm_python import PYTHON

PAGES = ROOT / "docs" / "plugins"
BLOCK = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)


def block(page: str, containing: str) -> str:
    """The only block of Python code on a page that contains a text."""
    (found,) = [text for text in BLOCK.findall((PAGES / page).read_text()) if containing in text]
    return found


@pytest.fixture
def zoo(tmp_path: Path):
    """Runs the command `zoo` with a plugin from a page."""

    def zoo(plugin: str, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        (tmp_path / "page_plugin.py").write_text(plugin)
        variables = {**os.environ, "ZOO_HOME": str(tmp_path / "home"), **environment}
        command = [PYTHON, "-m", "zoo_core", "--plugin", "page_plugin.py", *arguments]
        done = subprocess.run(command, capture_output=True, text=True, env=variables, cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        return done

    return zoo


RUN_COMMANDS = """
import json, sys
from zoo_core.cli import _exit_code

for arguments in json.load(sys.stdin):
    if code := _exit_code(arguments):
        sys.exit(code)
    for stream in (sys.stdout, sys.stderr):
        print("\\0", end="", file=stream, flush=True)
"""


@pytest.fixture
def commands(tmp_path: Path):
    """Runs several commands in one process, which imports the library of the page once."""

    def commands(plugin: str, *several: list[str]) -> list[tuple[str, str]]:
        (tmp_path / "page_plugin.py").write_text(plugin)
        variables = {**os.environ, "ZOO_HOME": str(tmp_path / "home"), "ZOO_PLUGIN_FILES": "page_plugin.py"}
        command = [PYTHON, "-c", RUN_COMMANDS]
        options = {"input": json.dumps(several), "capture_output": True, "text": True}
        done = subprocess.run(command, env=variables, cwd=tmp_path, check=False, **options)
        assert done.returncode == 0, done.stderr
        return list(zip(done.stdout.split("\0"), done.stderr.split("\0"), strict=True))[:-1]

    return commands


def test_a_logger_of_a_plugin_is_listed_and_logs_a_run_that_names_it(zoo, tmp_path):
    source = block("loggers-and-commands.md", "registry.logger(")
    assert "Metrics as rows of metrics.csv" in zoo(source, "list", "loggers").stdout
    words = ["dataset.source=subset", "run.steps=60", "run.log_every=20", "run.loggers=[jsonl,csv]", "--folder", "run"]
    zoo(source, "run", "digit-classifier-mnist", *words)
    lines = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    with (tmp_path / "run" / "metrics.csv").open(newline="") as file:
        rows = {(int(step), name): float(value) for step, name, value in csv.reader(file)}
    assert [rows[line["step"], "train/loss"] for line in lines[:3]] == [line["loss"] for line in lines[:3]]
    assert rows[60, "evaluation/accuracy"] == lines[-1]["accuracy"]


WRAPPED = {
    "timm": (
        "TimmClassifier",
        "timm-classifier",
        "timm-mnist",
        ["model.backbone=test_resnet", "dataset.source=subset"],
    ),
    "segmentation_models_pytorch": (
        "SmpUNet",
        "smp-unet",
        "smp-digit-scenes",
        ["run.batch_size=2", "dataset.test_scenes=8", "dataset.validation_scenes=2", "dataset.source=subset"],
    ),
    "transformers": ("VisionTransformer", "vision-transformer", "vision-transformer-mnist", ["dataset.source=subset"]),
}


@pytest.mark.parametrize("library", WRAPPED)
def test_a_model_of_another_library_trains_predicts_and_passes_the_checks(commands, library, tmp_path):
    if find_spec(library) is None:
        pytest.skip(f"{library} is not installed")
    class_name, model, recipe, overrides = WRAPPED[library]
    segments = library == "segmentation_models_pytorch"
    Image.effect_noise((96, 64) if segments else (28, 28), 90).save(tmp_path / "image.png")
    steps = 12
    listed, trained, predicted, checked = commands(
        block("wrapping.md", f"class {class_name}(zoo.Model)"),
        ["list"],
        ["run", recipe, *overrides, f"run.steps={steps}", "run.log_every=1", "--folder", "run"],
        ["predict", "run", "image=image.png", *(["-o", "mask.png"] if segments else [])],
        ["check", model],
    )
    assert recipe in listed[0]
    assert "warning" not in trained[1].lower()
    lines = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    losses = [line["loss"] for line in lines if "evaluation" not in line]
    assert len(losses) == steps
    assert min(losses[-3:]) < losses[0]
    if segments:
        with Image.open(tmp_path / "mask.png") as mask:
            assert mask.size == (96, 64)
    else:
        assert "label" in predicted[0]
    assert "builds-on-the-meta-device" in checked[0]
    assert "failed" not in checked[0]


def test_a_frozen_backbone_keeps_its_pretrained_weights(zoo, tmp_path):
    timm = pytest.importorskip("timm")
    from safetensors.torch import load_file, save_file

    torch.manual_seed(5)
    published = timm.create_model("test_resnet").state_dict()
    save_file(published, tmp_path / "published.safetensors")
    source = block("wrapping.md", "class TimmClassifier(zoo.Model)")
    overrides = [
        "trainer.pretrained_file=published.safetensors",
        "trainer.freeze_backbone=true",
        "run.steps=5",
        "dataset.source=subset",
    ]
    zoo(source, "run", "timm-mnist", "model.backbone=test_resnet", *overrides, "--folder", "run")
    trained = load_file(tmp_path / "run" / "model.safetensors")
    backbone = [name for name in published if not name.startswith("fc.") and name != "conv1.0.weight"]
    assert len(backbone) > 20
    for name in backbone:
        assert torch.equal(trained[f"network.{name}"], published[name]), name
    assert trained["network.fc.weight"].shape == (10, published["fc.weight"].shape[1])


def test_a_command_of_a_plugin_runs_and_is_listed(zoo):
    source = block("loggers-and-commands.md", "zoo_commands")
    assert zoo(source, "size", "digit-classifier-mnist").stdout.strip() == "121114"
    assert "Parameters of the model" in zoo(source, "--help").stdout


def test_a_url_scheme_downloads_the_published_file(zoo, tmp_path):
    file = ROOT / "zoo_plugins" / "classifier" / "digit-classifier-mnist.safetensors"
    (tmp_path / "share").mkdir()
    (tmp_path / "share" / "mine.safetensors").write_bytes(file.read_bytes())
    (tmp_path / "registry.yaml").write_text(
        "weights:\n  mine:\n    location: share://mine.safetensors\n    license: Apache-2.0\n"
        f"    sha256: {sha256(file.read_bytes()).hexdigest()}\n    size: {file.stat().st_size}\n"
    )
    source = block("loggers-and-commands.md", "zoo_fetch").replace("/mnt/share/", f"{tmp_path}/share/")
    path = Path(zoo(source, "weights", "path", "mine").stdout.strip())
    assert path.read_bytes() == file.read_bytes()
    assert path.parent == tmp_path / "home" / "weights"


def test_a_single_file_plugin_registers_its_recipe(zoo):
    source = block("managing.md", "registry.recipe(")
    assert "my-recipe" in zoo(source, "list").stdout


def test_the_reference_is_up_to_date():
    pytest.importorskip("griffe", reason="griffelib is not installed")
    done = subprocess.run([sys.executable, str(ROOT / "scripts" / "make_reference.py"), "--check"], check=False)
    assert done.returncode == 0, "update it: python scripts/make_reference.py"


def test_the_tutorial_lists_every_check():
    from zoo_core.testing.collect import all_checks

    page = " ".join((PAGES / "tutorial.md").read_text().split())
    rows = [line for line in (PAGES / "tutorial.md").read_text().splitlines() if line.startswith("| ")]
    listed = sum(len(re.split(r", | and ", row.split("|")[2])) for row in rows[1:] if "---" not in row)
    assert listed >= len(all_checks()) - 2, "a check is missing from the page"
    assert "zoo_core.testing import conformance" in page
