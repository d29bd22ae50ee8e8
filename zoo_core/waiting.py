"""How the threads of one operation wait for each other."""

from __future__ import annotations

import os

_SPINS = "1000"  # some microseconds


def waits_asleep() -> None:
    """Let a thread that waits for others sleep after a moment, where its user has not said how it should wait.

    libgomp's own would turn in place for milliseconds, on a core that another process may need to get to where this
    one waits for it: two trainings on one machine did less than half of the work that one does alone, and do at least
    as much this way (benchmarks/beside_another.py). It has to be said before torch is imported.
    """
    if "OMP_WAIT_POLICY" not in os.environ:
        os.environ.setdefault("GOMP_SPINCOUNT", _SPINS)
