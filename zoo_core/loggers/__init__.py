"""The loggers of every run, as hook implementations: metrics file, TensorBoard, preview images, sessions, progress
lines. Imports ``runs``, ``engine``, ``data`` and the modules below them; ``api``, ``tools``, ``testing`` and ``cli``
may import it."""

from __future__ import annotations


def standard() -> list[object]:
    """The loggers that every run has: metrics file, TensorBoard, previews, sessions."""
    from zoo_core.loggers.images import Previews
    from zoo_core.loggers.jsonl import MetricsFile
    from zoo_core.loggers.sessions import Sessions
    from zoo_core.loggers.tensorboard import TensorBoard

    return [MetricsFile(), TensorBoard(), Previews(), Sessions()]
