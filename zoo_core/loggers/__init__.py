"""The loggers of every run: metrics file, TensorBoard, preview images, sessions, progress lines.

Each implements the life-cycle hooks as a plugin does. Imports ``runs``, ``engine`` and ``data``; ``api``, ``tools`` and
``cli`` import it.
"""

from __future__ import annotations


def standard() -> list[object]:
    """The loggers that every run has: metrics file, TensorBoard, previews, sessions."""
    from zoo_core.loggers.images import Previews
    from zoo_core.loggers.jsonl import MetricsFile
    from zoo_core.loggers.sessions import Sessions
    from zoo_core.loggers.tensorboard import TensorBoard

    return [MetricsFile(), TensorBoard(), Previews(), Sessions()]
