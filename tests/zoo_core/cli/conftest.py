"""What tests of commands share."""

from __future__ import annotations

from pathlib import Path

import pytest

from zoo_core.cli import _exit_code
from zoo_core.registry import catalog


@pytest.fixture
def typed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    """A command in an empty working folder: its exit code, and what it says on stdout and stderr."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ZOO_TRACEBACK", "")
    catalog.default.cache_clear()

    def typed(*words: str) -> tuple[int, str, str]:
        code = _exit_code([*words])
        return code, *capsys.readouterr()

    return typed
