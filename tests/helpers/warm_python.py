"""``PYTHON``: an interpreter that has imported torch and zoo already, for tests that start many processes.

Importing what a training needs takes up to ten seconds of each process, most of the time of such a test. ``PYTHON -m
MODULE``, ``PYTHON -c CODE`` and ``PYTHON FILE`` run in a fork of a server, which imports it once; with other options,
``PYTHON`` is the interpreter itself. What starts there has its own environment, folder, streams, signals and exit code.
Its ``sys.executable`` is ``OF_MODULES``, which starts the interpreter itself for ``-c``, since checks look at what code
imports. The process that the test sees is a client that stands for it: it forwards signals, and both end together.

Use ``sys.executable`` where the start of a process, its imports, what libraries read from the environment when they are
imported, or a sudden death are tested: after SIGKILL, the client is gone some milliseconds before the process.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from pathlib import Path

from repository import HELPERS

_SHARED = "ZOO_TESTS_PYTHON"  # environment variable: the interpreter that the processes of pytest-xdist share


def _install() -> str:
    """Write the commands into a temporary folder. The first call starts the server, which ends with this process."""
    folder = _folders.setdefault("shared", tempfile.TemporaryDirectory(prefix="zoo-python-")).name
    Path(folder, "environment.json").write_text(json.dumps(dict(os.environ)))
    for name, forked in (("python", "-m,-c,FILE"), ("python-of-modules", "-m,FILE")):
        arguments = f"{folder!r}, {os.getpid()}, {forked!r}, sys.argv[1:]"
        command = Path(folder, name)
        command.write_text(
            f"#!{sys.executable} -IS\nimport sys\nsys.path.insert(0, {str(HELPERS)!r})\n"
            f"from warm_python_client import main\nmain({arguments})\n"
        )
        command.chmod(0o755)
    return str(Path(folder, "python"))


_folders: dict[str, tempfile.TemporaryDirectory[str]] = {}
if sys.platform == "linux":
    PYTHON = os.environ.setdefault(_SHARED, os.environ.get(_SHARED) or _install())
    OF_MODULES = f"{PYTHON}-of-modules"
else:  # the server uses pidfd_open
    PYTHON = OF_MODULES = sys.executable
