"""The logger `mlflow` records a run in a local database, without the network, and never ends a run."""

import json
import os
import re
import shutil
import sqlite3
import subprocess
from contextlib import closing
from pathlib import Path

import kinds_plugin
import pytest
from warm_python import PYTHON

pytest.importorskip("mlflow")

TRAINING = ["run", "digit-classifier-mnist", "dataset.source=subset", "run.log_every=10", "run.evaluate_every=20"]


def zoo(folder: Path, *arguments: str, **environment: str) -> str:
    """What the command prints to stderr."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("MLFLOW_")}
    done = subprocess.run(
        [PYTHON, "-m", "zoo_core", *arguments],
        capture_output=True,
        text=True,
        env={**kept, **environment},
        cwd=folder,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stderr


def rows(folder: Path, query: str) -> list[tuple]:
    with closing(sqlite3.connect(folder / "mlflow.db")) as database:
        return database.execute(query).fetchall()


@pytest.fixture(scope="module")
def stopped(tmp_path_factory):
    """A folder with a run of 40 steps, the last of which was validated and tested."""
    folder = tmp_path_factory.mktemp("mlflow")
    words = ["run.steps=40", "run.monitor=accuracy", "run.loggers=[jsonl,mlflow]", "run.preview_every=20"]
    assert "warning" not in zoo(folder, *TRAINING, *words, "--folder", "run")
    return folder


def written(run: Path) -> list[tuple]:
    """What metrics.jsonl says, as MLflow names it."""
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    return sorted(
        ("evaluation/" * ("evaluation" in line) + name, line["step"], value)
        for line in lines
        for name, value in line.items()
        if name not in ("step", "epoch", "evaluation")
    )


def test_metrics_settings_and_the_outcome_are_in_the_database_of_the_current_folder(stopped):
    assert sorted(rows(stopped, "select key, step, value from metrics")) == written(stopped / "run")
    assert ("trainer.learning_rate", "0.004") in rows(stopped, "select key, value from params")
    assert rows(stopped, "select status, name from runs") == [("FINISHED", "run")]
    assert rows(stopped, "select name from experiments where name != 'Default'") == [("digit-classifier-mnist",)]


def test_a_resumed_run_continues_its_mlflow_run_and_logs_every_value_once(stopped):
    for steps in (40, 60):  # evaluated again, then continued
        zoo(stopped, "run", "--resume", "run", f"run.steps={steps}")
        assert sorted(rows(stopped, "select key, step, value from metrics")) == written(stopped / "run")
    assert rows(stopped, "select status from runs") == [("FINISHED",)]


@pytest.mark.long
def test_a_database_that_cannot_be_opened_is_one_warning_and_delays_the_training_by_seconds(tmp_path):
    (tmp_path / "database").mkdir()
    words = ["run.steps=2", "run.loggers=[jsonl,mlflow]", "--folder", "run"]
    printed = zoo(tmp_path, *TRAINING, *words, MLFLOW_TRACKING_URI=f"sqlite:///{tmp_path}/database")
    assert printed.count("the plugin 'MLflow' is disabled for the rest of the run") == 1
    assert re.findall(r"retried in ([\d.]+) seconds", printed) == ["0.1", "0.3", "0.7"]
    assert (tmp_path / "run" / "model.safetensors").is_file()


@pytest.mark.long
def test_a_server_that_cannot_be_reached_is_one_warning(tmp_path):
    words = ["run.steps=10", "run.loggers=[jsonl,mlflow]", "--folder", "run"]
    printed = zoo(tmp_path, *TRAINING, *words, MLFLOW_TRACKING_URI="http://user:secret@127.0.0.1:9")
    assert printed.count("the plugin 'MLflow' is disabled for the rest of the run") == 1
    assert (tmp_path / "run" / "model.safetensors").is_file()
    assert not any(b"secret" in file.read_bytes() for file in (tmp_path / "run").rglob("*") if file.is_file())


def test_previews_of_every_kind_are_logged_once(tmp_path):
    plugin = ["--plugin", str(kinds_plugin.FILE)]
    words = ["run.loggers=[jsonl,mlflow]", "run.checkpoint_every=2", "--folder", "run"]
    assert "warning" not in zoo(tmp_path, *plugin, "run", "kinds", *words)
    shutil.rmtree(tmp_path / "run" / "checkpoints" / "step-000000006")  # the preview of step 6 is drawn again
    assert "disabled" not in zoo(tmp_path, *plugin, "run", "--resume", "run")
    (artifacts,) = tmp_path.glob("mlruns/*/*/artifacts")
    endings = {"text": "txt", "table": "csv", "audio": "wav", "line": "npy", "matrix": "npy", "volume": "npy"}
    assert sorted(path.name for path in (artifacts / "previews").iterdir()) == sorted(
        f"step-00000{step}-my_{name}_1.{ending}" for step in (3, 6) for name, ending in endings.items()
    )
    pictures = sorted(path.name.partition("+timestamp")[0] for path in (artifacts / "images").glob("*.png"))
    drawn = ("line", "matrix", "volume", "images", "clips", "classes")
    assert pictures == sorted(f"preview-my_{name}_1+step+{step}" for name in drawn for step in (3, 6))
