"""Commands that messages tell the user to type can be typed."""

from __future__ import annotations

import os
import shlex
from pathlib import Path

import pytest

from zoo_core.config.command_line import LAUNCHER, PLUGIN_FILES, REGISTRY_FILES, resume_command, zoo_command


@pytest.fixture(autouse=True)
def _here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in (LAUNCHER, PLUGIN_FILES, REGISTRY_FILES, "WORLD_SIZE"):
        monkeypatch.delenv(name, raising=False)


def test_without_files_a_command_is_as_short_as_before():
    assert resume_command(Path("runs/a/b")) == "zoo run --resume runs/a/b"


def test_plugin_and_registry_files_of_this_command_are_repeated(tmp_path, monkeypatch):
    monkeypatch.setenv(PLUGIN_FILES, os.pathsep.join([str(tmp_path / "mine.py"), "/elsewhere/your model.py"]))
    monkeypatch.setenv(REGISTRY_FILES, str(tmp_path / "mine.yaml"))
    command = zoo_command("predict runs/a/b labels=[5]")
    assert shlex.split(command) == [
        *["zoo", "--plugin", "mine.py", "--plugin", "/elsewhere/your model.py"],
        *["predict", "runs/a/b", "labels=[5]", "--registry", "mine.yaml"],
    ]


def test_options_settings_and_the_number_of_processes_are_repeated(monkeypatch):
    monkeypatch.setenv(LAUNCHER, "1")
    monkeypatch.setenv("WORLD_SIZE", "2")
    command = resume_command(Path("my runs/b"), ["--allow-changed-data"], ["run.monitor='-a b'", "run.steps=null"])
    assert shlex.split(command) == [
        *["zoo", "run", "--resume", "my runs/b", "--allow-changed-data", "run.monitor='-a b'", "run.steps=null"],
        *["--processes", "2"],
    ]
