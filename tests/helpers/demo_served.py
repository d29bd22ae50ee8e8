"""Start `zoo demo` for tests of its page, and read the images on it."""

from __future__ import annotations

import base64
import io
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from PIL import Image


@contextmanager
def served(*names: str, before: tuple[str, ...] = (), folder: Path | None = None) -> Iterator[tuple[str, Any]]:
    """Start ``zoo [before] demo NAMES`` in ``folder``; yields its URL and its process."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    command = [sys.executable, "-m", "zoo_core", *before, "demo", *names, "--port", str(port), "--no-browser"]
    environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
    process = subprocess.Popen(
        command,
        cwd=folder,
        stdout=subprocess.PIPE,
        text=True,
        env=environment,
        preexec_fn=_enable_sigint,
    )
    assert process.stdout is not None
    assert process.stdout.readline().startswith(f"http://127.0.0.1:{port}/ serves {', '.join(names)}")
    yield f"http://127.0.0.1:{port}/", process
    process.kill()
    process.wait()
    process.stdout.close()


def _enable_sigint() -> None:
    """Restore the default handling of SIGINT, which is ignored if a shell started the tests in the background."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def opened(page: Any, name: str) -> Image.Image:
    """The image with the alternative text ``name`` on the page."""
    source = page.locator(f"img[alt='{name}']").get_attribute("src")
    return Image.open(io.BytesIO(base64.b64decode(source.partition("base64,")[2])))
