"""The rank of this process in a run of several processes, and its launcher."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from zoo_core.config.command_line import LAUNCHER

LOST = 71  # exit code of a process that ends silently because another process was lost
_LAUNCHED = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE")


def is_rank_zero() -> bool:
    """Whether this is the only process of the run, or the one with rank 0, which prints and writes files."""
    return os.environ.get("RANK", "0") == "0"


def is_launched() -> bool:
    """Whether ``zoo run --processes`` started this process and reports how the run ended."""
    return LAUNCHER in os.environ


@contextmanager
def not_launched() -> Iterator[None]:
    """Context in which this process does not join the others of its launcher."""
    kept = {name: os.environ.pop(name) for name in _LAUNCHED if name in os.environ}
    try:
        yield
    finally:
        os.environ.update(kept)


launcher_has_ended = threading.Event()


def end_with_launcher() -> None:
    """Watch the launcher, and when it is gone, stop this process as SIGTERM does: with a last checkpoint."""
    launcher = int(os.environ[LAUNCHER])

    def watch() -> None:
        while os.getppid() == launcher:
            time.sleep(1)
        launcher_has_ended.set()
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch, name="zoo-launcher-watch", daemon=True).start()
