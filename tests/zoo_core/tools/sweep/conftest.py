"""Fixtures that run ``zoo sweep`` on a recipe whose runs take milliseconds."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from line_recipe import RECIPE
from warm_python import PYTHON

from zoo_core.cli import _exit_code


@dataclass
class Swept:
    """The exit code, the output and the folder of ``zoo sweep``."""

    code: int
    out: str
    err: str
    folder: Path
    result: dict[str, Any] = field(default_factory=dict)
    """The parsed output of --json."""

    @property
    def trials(self) -> list[dict[str, Any]]:
        return self.result["trials"]

    @property
    def values(self) -> list[float | None]:
        return [trial["value"] for trial in self.trials]


class Sweeps:
    """Runs ``zoo sweep`` in a working folder whose registry.yaml has the recipe ``line``."""

    def __init__(self, place: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.place, self.capsys = place, capsys
        self.started: list[subprocess.Popen[str]] = []

    def __call__(self, *words: str, folder: str = "swept") -> Swept:
        """Run the command in this process."""
        placed = words if "--resume" in words or "--show" in words else (*words, "--folder", folder)
        code = _exit_code(["sweep", *map(str, placed)])
        return Swept(code, *self.capsys.readouterr(), self.place / folder)

    def json(self, *words: str, folder: str = "swept") -> Swept:
        """Run the command in this process with --json."""
        done = self(*words, "--json", folder=folder)
        assert done.out, done.err
        done.result = json.loads(done.out)
        return done

    def start(self, *words: str, python: str = PYTHON) -> subprocess.Popen[str]:
        """Start the command in a process of its own."""
        command = [python, "-m", "zoo_core", "sweep", *map(str, words)]
        started = subprocess.Popen(command, cwd=self.place, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.started.append(started)
        return started

    def end(self) -> None:
        """Kill all started processes and close their pipes."""
        for process in self.started:
            process.kill()
            process.communicate()

    def write(self, name: str, text: str) -> None:
        (self.place / name).write_text(text)


@pytest.fixture
def sweep(
    tiny_installed: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Iterator[Sweeps]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ZOO_TRACEBACK", "")
    (tmp_path / "registry.yaml").write_text(RECIPE)
    sweeps = Sweeps(tmp_path, capsys)
    yield sweeps
    sweeps.end()
