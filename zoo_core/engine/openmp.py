"""Settings of OpenMP, which runs the threads of an operation."""

from __future__ import annotations

import os

_BUSY = 1.0  # one-minute load average that one other computing process causes
_SPIN_COUNT = "1000"  # a few microseconds


def limit_spin_wait() -> None:
    """Let OpenMP threads sleep early while they wait for each other, if the machine is busy.

    By default, libgomp spins for milliseconds, on a core that the awaited thread or another process may need; two
    trainings at once then each take more than twice as long as one that has the machine to itself. On an idle machine,
    sleeping early costs a tenth of the speed, so it is used on busy ones only (benchmarks/beside_another.py).
    ``GOMP_SPINCOUNT`` and ``OMP_WAIT_POLICY`` take precedence. Must be called before torch is imported.
    """
    if "OMP_WAIT_POLICY" not in os.environ and hasattr(os, "getloadavg") and os.getloadavg()[0] >= _BUSY:
        os.environ.setdefault("GOMP_SPINCOUNT", _SPIN_COUNT)
