"""The versions of the installed packages and the state of the working folder's repository."""

from __future__ import annotations

import platform
import subprocess
from importlib.metadata import version
from typing import Any


def versions() -> dict[str, str]:
    names = ("zoo-core", "torch", "numpy", "accelerate", "safetensors")
    return {"python": platform.python_version(), **{name: version(name) for name in names}}


def git_state() -> dict[str, Any] | None:
    """The commit of the working folder and whether it has changes; None outside a repository or without git."""
    try:
        commit = _git("rev-parse", "HEAD")
        return {"commit": commit, "changed": bool(_git("status", "--porcelain", "--untracked-files=no"))}
    except (OSError, subprocess.SubprocessError):
        return None


def _git(*arguments: str) -> str:
    command = ["git", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=10)  # noqa: S603  # fixed words
    return done.stdout.strip()
