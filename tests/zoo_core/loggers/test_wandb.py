"""The logger `wandb` records a run offline, never asks for a key, and never ends a run."""

import json
import os
import subprocess
from pathlib import Path

import kinds_plugin
import pytest
from warm_python import PYTHON

pytest.importorskip("wandb")

TRAINING = [
    "run",
    "digit-classifier-mnist",
    "dataset.source=subset",
    "run.steps=40",
    "run.log_every=10",
    "--folder",
    "run",
]
LOGGERS = "run.loggers=[jsonl,wandb]"


def zoo(folder: Path, *arguments: str, **environment: str) -> str:
    """What the command prints to stderr. It has no terminal and no key, unless the environment gives one."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("WANDB_")}
    variables = {**kept, "HOME": str(folder), "NETRC": str(folder / "no-netrc"), **environment}
    command = [PYTHON, "-m", "zoo_core", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, env=variables, cwd=folder, stdin=subprocess.DEVNULL)
    assert done.returncode == 0, done.stderr
    return done.stderr


def sessions(run: Path) -> list[Path]:
    return sorted(run.glob("wandb/offline-run-*/run-*.wandb"))


def test_a_run_is_logged_offline_and_continued_when_it_is_resumed(tmp_path):
    printed = zoo(tmp_path, *TRAINING, LOGGERS, "run.preview_every=20")
    assert "warning" not in printed
    (first,) = sessions(tmp_path / "run")
    content = first.read_bytes()
    for key in (b"evaluation/accuracy", b"loss", b"learning_rate", b"digit-classifier-mnist"):
        assert key in content
    assert not list((tmp_path / "run").glob("events.out.tfevents.*"))

    assert "warning" not in zoo(tmp_path, "run", "--resume", "run", "run.steps=50", WANDB_MODE="offline").replace(
        "warning: run.steps is now 50", ""
    )
    again, latest = sessions(tmp_path / "run")
    assert again == first
    assert latest.name == first.name  # it contains the id


def test_without_a_key_it_is_offline_even_if_online_is_asked_for(tmp_path):
    printed = zoo(tmp_path, *TRAINING, LOGGERS, WANDB_MODE="online")
    assert "WANDB_MODE is 'online', but there is no key for Weights & Biases" in printed
    assert len(sessions(tmp_path / "run")) == 1


def test_a_logger_that_fails_is_one_warning_and_the_run_is_whole(tmp_path):
    class_file = tmp_path / "block.py"
    class_file.write_text(
        "import zoo_core as zoo\n\n\n@zoo.hookimpl(tryfirst=True)\ndef zoo_run_started(run):\n"
        "    (run.path / 'wandb').write_text('')\n"
    )
    printed = zoo(tmp_path, "--plugin", "block.py", *TRAINING, LOGGERS, "run.loggers=[jsonl,wandb]")
    assert printed.count("is disabled for the rest of the run") == 1
    assert (tmp_path / "run" / "model.safetensors").is_file()


@pytest.mark.long
def test_a_server_that_cannot_be_reached_leaves_the_run_logged_offline(tmp_path):
    key = "0123456789abcdef0123456789abcdef01234567"
    printed = zoo(tmp_path, *TRAINING, LOGGERS, WANDB_API_KEY=key, WANDB_BASE_URL="http://127.0.0.1:9")
    assert printed.count("Weights & Biases can't be reached") == 1
    assert "is disabled" not in printed
    assert len(sessions(tmp_path / "run")) == 1


def test_previews_of_every_kind_are_logged_as_media(tmp_path):
    training = ["--plugin", str(kinds_plugin.FILE), "run", "kinds", LOGGERS, "--folder", "run"]
    assert "warning" not in zoo(tmp_path, *training)
    (media,) = (tmp_path / "run" / "wandb").glob("offline-run-*/files/media")
    files = sorted(path for path in media.rglob("*") if path.is_file())
    kinds = dict.fromkeys(("line", "matrix", "volume", "images", "clips", "classes"), "images")
    kinds |= {"text": "html", "table": "table", "audio": "audio"}
    assert sorted((path.parent.name, path.name.split("_")[3]) for path in files) == sorted(
        (kind, step) for kind in kinds.values() for step in "36"
    )
    text = next(path for path in files if path.suffix == ".html").read_text()
    assert "&lt;script&gt;window.hostile" in text
    assert "<script>" not in text
    table = json.loads(next(path for path in files if "table" in path.name).read_text())
    assert table["columns"] == ["token", "loss"]
    assert table["data"][1] == ["<b>b</b>", -1.0]
