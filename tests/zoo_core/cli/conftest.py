"""Fixtures of the tests of commands."""

from __future__ import annotations

from pathlib import Path

import pytest

from zoo_core.cli import _exit_code
from zoo_core.config.command_line import PLUGIN_FILES
from zoo_core.registry import catalog


@pytest.fixture
def run_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    """Run a command in an empty working directory; returns its exit code, stdout and stderr."""
    monkeypatch.chdir(tmp_path)
    for option in ("ZOO_TRACEBACK", PLUGIN_FILES):  # what the options of a command set is undone after the test
        monkeypatch.setenv(option, "")
    catalog.default.cache_clear()

    def run_command(*arguments: str) -> tuple[int, str, str]:
        code = _exit_code([*arguments])
        return code, *capsys.readouterr()

    return run_command
