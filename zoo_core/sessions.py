"""How a run stands, by the last entry of its ``sessions.json``; ``zoo_core.observers.sessions`` writes it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def standing(session: Mapping[str, Any], at_work: bool) -> tuple[str, str]:
    """running, done, stopped, failed or killed, and why where the run could say it.

    The entry of a process that was killed says for ever that it runs, and that of a run that is gone on with how the
    one before ended: only whether a process is ``at_work`` in the folder tells.
    """
    if at_work:
        return "running", ""
    word, _, why = str(session["ended"]).partition(": ")
    return ("killed", "") if word == "running" else (word, why)
