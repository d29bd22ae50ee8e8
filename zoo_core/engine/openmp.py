"""How the threads of one operation wait for each other."""

from __future__ import annotations

import os

_BUSY = 1.0  # load average of the last minute: one other process that computes
_SPINS = "1000"  # some microseconds


def limit_spin_wait() -> None:
    """On a machine where others are at work, let a thread that waits for others sleep after a moment.

    libgomp's own turns in place for milliseconds, on a core that another process may need to get to where this one
    waits for it: of two trainings at once each then takes more than twice as long as its share of the machine would.
    Sleeping costs a tenth of the speed where nobody else is there, so it is chosen only where somebody is
    (benchmarks/beside_another.py). ``GOMP_SPINCOUNT`` and ``OMP_WAIT_POLICY`` overrule it. It has to be said before
    torch is imported.
    """
    if "OMP_WAIT_POLICY" not in os.environ and hasattr(os, "getloadavg") and os.getloadavg()[0] >= _BUSY:
        os.environ.setdefault("GOMP_SPINCOUNT", _SPINS)
