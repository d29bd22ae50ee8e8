"""The end of the processes that a process has started."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

_TIME_TO_ASK = 0.3  # seconds in which compilers remove their files


def kill_children() -> None:
    """Kill loader workers, compilers and other descendants.

    Programs other than Python are first asked to end: a compiler then removes what it has written in part, which the
    next run would take from the cache of torch.compile. The resource tracker of multiprocessing ends by itself, after
    it has removed what the others leave in memory.
    """
    import psutil

    asked = []
    for child in psutil.Process().children(recursive=True):
        with suppress(psutil.Error):
            words = child.cmdline()
            if not words or "python" in Path(words[0]).name:
                if "multiprocessing.resource_tracker" not in " ".join(words):
                    child.kill()
            else:
                child.terminate()
                asked.append(child)
    _, left = psutil.wait_procs(asked, timeout=_TIME_TO_ASK)
    for child in left:
        with suppress(psutil.Error):
            child.kill()
