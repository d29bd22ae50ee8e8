"""What docs/plugins shows is code that works as it stands."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from hashlib import sha256
from importlib.util import find_spec
from pathlib import Path

import pytest

PAGES = Path(__file__).parents[2] / "docs" / "plugins"
BLOCK = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)
ROOT = Path(__file__).parents[2]


def block(page: str, containing: str) -> str:
    """The one block of Python on a page that contains a text."""
    (found,) = [text for text in BLOCK.findall((PAGES / page).read_text()) if containing in text]
    return found


@pytest.fixture
def zoo(tmp_path: Path):
    """The real command with a plugin that is a block of a page."""

    def zoo(plugin: str, *words: str, **environment: str) -> subprocess.CompletedProcess[str]:
        (tmp_path / "page_plugin.py").write_text(plugin)
        surroundings = {**os.environ, "ZOO_HOME": str(tmp_path / "home"), **environment}
        command = [sys.executable, "-m", "zoo_core", "--plugin", "page_plugin.py", *words]
        done = subprocess.run(command, capture_output=True, text=True, env=surroundings, cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        return done

    return zoo


@pytest.mark.parametrize("library", ["wandb", "mlflow"])
def test_a_logger_registers_and_is_at_most_forty_lines(zoo, library):
    source = block("loggers-and-commands.md", f"import {library}")
    assert len([line for line in source.splitlines() if line.strip()]) <= 40
    assert "page_plugin" in zoo(source, "plugins").stdout


@pytest.mark.parametrize("library", ["wandb", "mlflow"])
def test_a_logger_follows_a_run(zoo, library, tmp_path):
    if find_spec(library) is None:
        pytest.skip(f"{library} is not installed")
    source = block("loggers-and-commands.md", f"import {library}")
    words = ["run", "digit-classifier-mnist", "dataset.source=subset", "run.steps=60", "run.log_every=20"]
    offline = {"WANDB_MODE": "offline", "MLFLOW_TRACKING_URI": f"sqlite:///{tmp_path}/mlflow.db"}
    done = zoo(source, *words, "--folder", "run", **offline)
    assert "switched off" not in done.stderr
    assert list(tmp_path.glob("run/wandb/offline-run-*")) if library == "wandb" else (tmp_path / "mlflow.db").is_file()


def test_a_sub_command_is_there_when_it_is_typed(zoo):
    source = block("loggers-and-commands.md", "zoo_commands")
    assert zoo(source, "size", "digit-classifier-mnist").stdout.strip() == "121114"
    assert "Parameters of the model" in zoo(source, "--help").stdout


def test_a_weights_scheme_brings_what_was_published(zoo, tmp_path):
    file = ROOT / "zoo_plugins" / "classifier" / "digit-classifier-mnist.safetensors"
    (tmp_path / "share").mkdir()
    (tmp_path / "share" / "mine.safetensors").write_bytes(file.read_bytes())
    (tmp_path / "registry.yaml").write_text(
        "weights:\n  mine:\n    location: share://mine.safetensors\n    licence: Apache-2.0\n"
        f"    sha256: {sha256(file.read_bytes()).hexdigest()}\n    size: {file.stat().st_size}\n"
    )
    source = block("loggers-and-commands.md", "zoo_fetch").replace("/mnt/share/", f"{tmp_path}/share/")
    path = Path(zoo(source, "weights", "path", "mine").stdout.strip())
    assert path.read_bytes() == file.read_bytes()
    assert path.parent == tmp_path / "home" / "weights"


def test_a_single_file_registers_what_its_page_says(zoo):
    source = block("managing.md", "registry.recipe(")
    assert "my-recipe" in zoo(source, "list").stdout


def test_the_tutorial_names_every_check():
    import zoo_core.testing  # noqa: F401
    from zoo_core.testing import dataset_checks, model_checks, plugin_checks, recipe_checks  # noqa: F401
    from zoo_core.testing.checks import ALL

    page = " ".join((PAGES / "tutorial.md").read_text().split())
    rows = [line for line in (PAGES / "tutorial.md").read_text().splitlines() if line.startswith("| ")]
    said = sum(len(re.split(r", | and ", row.split("|")[2])) for row in rows[1:] if "---" not in row)
    assert said >= len(ALL) - 2, "a check is missing from the page"
    assert "zoo_core.testing import conformance" in page
