"""`zoo demo` at work for tests of its page, and the pictures on it."""

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
    """The address of ``zoo [before] demo NAMES``, begun in ``folder``, and its process."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port = one.getsockname()[1]
    words = [sys.executable, "-m", "zoo_core", *before, "demo", *names, "--port", str(port), "--no-browser"]
    surroundings = {**os.environ, "PYTHONUNBUFFERED": "1"}
    process = subprocess.Popen(
        words,
        cwd=folder,
        stdout=subprocess.PIPE,
        text=True,
        env=surroundings,
        preexec_fn=heeds_ctrl_c,
    )
    assert process.stdout is not None
    assert process.stdout.readline().startswith(f"http://127.0.0.1:{port}/ serves {', '.join(names)}")
    yield f"http://127.0.0.1:{port}/", process
    process.kill()
    process.wait()
    process.stdout.close()


def heeds_ctrl_c() -> None:
    """A shell that starts the tests behind an ``&`` has them, and what they start, ignore SIGINT."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def opened(place: Any, name: str) -> Image.Image:
    """The picture that the page shows under ``name``."""
    source = place.locator(f"img[alt='{name}']").get_attribute("src")
    return Image.open(io.BytesIO(base64.b64decode(source.partition("base64,")[2])))
