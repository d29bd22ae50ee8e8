"""The end of the processes that a process has started."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterable
from contextlib import suppress
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

from zoo_core.data.started_processes import ends_by_itself

if TYPE_CHECKING:
    import psutil

_TIME_TO_ASK = 0.3  # seconds in which compilers remove their temporary files
_COMPILED = {".so", ".dylib", ".o", ".gch", ".pch", ".cubin"}


def kill_children() -> None:
    """Kill loader workers, compilers and other descendants.

    Programs other than Python are first asked to end. What a compiler has written in part is removed, since the next
    run would take it from the cache of torch.compile. What removes the traces of others ends by itself.
    """
    import psutil

    asked: list[psutil.Process] = []
    outputs: set[Path] = set()
    for child in psutil.Process().children(recursive=True):
        with suppress(psutil.Error):
            words = child.cmdline()
            if words and ends_by_itself(words):
                continue
            if not words or "python" in Path(words[0]).name:
                child.kill()
            else:
                outputs |= _outputs(child, words)
                child.terminate()
                asked.append(child)
    _, left = psutil.wait_procs(asked, timeout=_TIME_TO_ASK)
    for child in left:
        with suppress(psutil.Error):
            child.kill()
    psutil.wait_procs(left, timeout=_TIME_TO_ASK)
    # A compiler removes its output, but the linker that it has started may create it again before it ends.
    for output in outputs:
        with suppress(OSError):
            output.unlink()


def _outputs(child: psutil.Process, words: list[str]) -> set[Path]:
    """The compiled files that a process writes, according to its arguments."""
    named = [Path(os.path.join(child.cwd(), word)) for option, word in pairwise(words) if option == "-o"]
    return {path for path in named if path.suffix in _COMPILED}


def kill_all(pids: Iterable[int], number: signal.Signals) -> None:
    """Send a signal to processes that may have ended."""
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, number)
