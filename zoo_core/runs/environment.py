"""Versions of installed packages, and the git commit of the working directory."""

from __future__ import annotations

import platform
import subprocess
from functools import cache
from importlib.metadata import version
from typing import Any

_version = cache(version)  # it parses the metadata of the distribution


def versions() -> dict[str, str]:
    """The versions of Python and of the packages that determine a run's results."""
    names = ("zoo-core", "torch", "numpy", "accelerate", "safetensors")
    return {"python": platform.python_version(), **{name: _version(name) for name in names}}


def git_state() -> dict[str, Any] | None:
    """The commit of the working directory and whether it has changes; None outside a repository or without git."""
    try:
        commit = _git("rev-parse", "HEAD")
        return {"commit": commit, "changed": bool(_git("status", "--porcelain", "--untracked-files=no"))}
    except (OSError, subprocess.SubprocessError):
        return None


def _git(*arguments: str) -> str:
    command = ["git", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=10)  # noqa: S603  # constant arguments
    return done.stdout.strip()
