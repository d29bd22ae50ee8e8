"""Which process of a run this is, where several train together."""

from __future__ import annotations

import os
import signal
import threading
import time

LAUNCHER = "ZOO_LAUNCHER"  # set, to its process, by the one that started this one
LOST = 71  # exit code of a process that says nothing itself, because another's end is why it ended
_SAVING = 60.0  # seconds for a step and its checkpoint


def is_rank_zero() -> bool:
    """Whether this process is the one that speaks: the only one, or the first that a launcher started."""
    return os.environ.get("RANK", "0") == "0"


def is_launched() -> bool:
    """Whether ``zoo run --processes`` started this process, and reports why the run ended."""
    return LAUNCHER in os.environ


def end_with_launcher() -> None:
    """Stop this process as SIGTERM would, saving first, when the process that started it is gone."""
    launcher = int(os.environ[LAUNCHER])

    def watch() -> None:
        while os.getppid() == launcher:
            time.sleep(1)
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(_SAVING)
        os._exit(1)  # whatever it waits for will not come

    threading.Thread(target=watch, name="zoo-launcher-watch", daemon=True).start()
