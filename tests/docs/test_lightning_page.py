"""The line counts of docs/coming-from/lightning.md are those of the programs, which run."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import nullcontext
from pathlib import Path

import pytest
import torch
from repository import ROOT
from safetensors.torch import save_file

import zoo_core as zoo
from zoo_core.loggers import loggers_of
from zoo_core.registry.catalog import Catalog
from zoo_core.registry.resolve import resolve
from zoo_core.training.runner import run_recipe

SCRIPT = ROOT / "scripts" / "make_lightning_table.py"
PROGRAMS = ROOT / "examples" / "lightning_comparison"
DIGITS = ["dataset.source=subset", "dataset.validation_size=40"]
# Of each task: its recipe, overrides for a short training, and a metric at its end.
TASKS = {
    "classifier": ("digits", [*DIGITS, "run.steps=4", "run.evaluate_every=2"], "accuracy"),
    "gan": ("gan", [DIGITS[0], "run.steps=4", "run.preview_every=2"], None),
    "fine_tuning": (
        "fine-tuned",
        [
            *DIGITS,
            "model.timm_name=test_resnet",
            "run.steps=2",
            "run.evaluate_every=1",
            "run.init_from=start.safetensors",
        ],
        "accuracy",
    ),
    "regression": ("table", ["run.steps=200"], "loss"),
    "text": ("text", ["run.steps=4", "run.evaluate_every=2"], "loss"),
}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory, with the text that the language models learn."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "text.txt").write_text("The zoo has many animals. " * 200)
    return tmp_path


def test_the_page_has_the_counts_of_the_programs() -> None:
    done = subprocess.run([sys.executable, SCRIPT, "--check"], check=False)
    assert done.returncode == 0, f"update it: python {SCRIPT.relative_to(ROOT)}"


def test_no_task_takes_more_lines_than_with_lightning() -> None:
    rows = [line.split("|") for line in (ROOT / "docs/coming-from/lightning.md").read_text().splitlines()]
    counts = [(int(row[2]), int(row[3])) for row in rows if len(row) == 5 and row[2].strip().isdigit()]
    assert len(counts) == len(TASKS) == len(list(PROGRAMS.glob("*_lightning.py")))
    assert all(ours <= theirs for theirs, ours in counts)


def test_blank_lines_comments_and_docstrings_are_not_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(SCRIPT.parent))
    from make_lightning_table import lines_of_code

    program = tmp_path / "program.py"
    program.write_text('"""A\n\nB"""\n\n# C\nx = [\n    1,  # D\n]\n\n\ndef f():\n    """E"""\n    return """\n\n"""\n')
    assert lines_of_code(program) == 7


@pytest.mark.parametrize("task", TASKS)
def test_a_task_runs_with_zoo(task: str, folder: Path) -> None:
    name, overrides, metric = TASKS[task]
    catalog = Catalog()
    catalog.plugins.load_files([PROGRAMS / f"{task}_zoo.py"])
    if task == "fine_tuning":
        timm = pytest.importorskip("timm", reason="timm is not installed")
        tensors = timm.create_model("test_resnet").state_dict()
        save_file({f"network.{name}": tensor for name, tensor in tensors.items()}, "start.safetensors")
    with catalog.active():
        resolved = resolve(catalog.recipe(name, *overrides, "run.device=cpu", "run.threads=1"), catalog)
        other_head = pytest.warns(UserWarning, match="others keep their initial values: other shapes")
        with other_head if task == "fine_tuning" else nullcontext():
            run = run_recipe(resolved, loggers_of(resolved), folder / "run")
        model = zoo.load(run.path)
        if task == "text":
            assert model.predict("The ", length=5)["text"].startswith("The ")
        if task == "fine_tuning":
            kept = "layer3.0.conv1.weight"
            assert torch.equal(model.network.state_dict()[kept], tensors[kept])
    assert (run.path / "metrics.jsonl").is_file()
    assert (run.path / "checkpoints").is_dir()
    assert metric is None or metric in run.test_metrics
    assert len(list(run.path.glob("previews/*.png"))) == (2 if task == "gan" else 0)


def idx(array: torch.Tensor) -> bytes:
    lengths = b"".join(length.to_bytes(4, "big") for length in array.shape)
    return bytes([0, 0, 8, array.ndim]) + lengths + array.numpy().tobytes()


@pytest.mark.long
@pytest.mark.parametrize("task", TASKS)
def test_a_task_runs_with_lightning(task: str, folder: Path) -> None:
    pytest.importorskip("lightning", reason="lightning is not installed")
    if task == "fine_tuning":
        timm = pytest.importorskip("timm", reason="timm is not installed")
        save_file(timm.create_model("resnet18").state_dict(), "resnet18.safetensors")
    raw = folder / "MNIST" / "raw"
    raw.mkdir(parents=True)
    for prefix in ("train", "t10k"):
        (raw / f"{prefix}-images-idx3-ubyte").write_bytes(idx(torch.zeros(640, 28, 28, dtype=torch.uint8)))
        (raw / f"{prefix}-labels-idx1-ubyte").write_bytes(idx(torch.arange(640).remainder(10).byte()))
    limits = {"LIMIT_TRAIN_BATCHES": "2", "LIMIT_VAL_BATCHES": "1", "LIMIT_TEST_BATCHES": "1", "MAX_EPOCHS": "1"}
    environment = {**os.environ, **{f"PL_TRAINER_{name}": value for name, value in limits.items()}}
    command = [sys.executable, str(PROGRAMS / f"{task}_lightning.py")]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert list((folder / "lightning_logs").glob("version_0/checkpoints/*.ckpt"))
    assert list((folder / "lightning_logs").glob("version_0/events.out.tfevents*"))
