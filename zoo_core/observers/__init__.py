"""What zoo itself does at a run's hooks. Each is a plugin like a stranger's."""

from __future__ import annotations


def standard() -> list[object]:
    """The observers of every run: metrics file, TensorBoard, previews, status."""
    from zoo_core.observers.metrics_file import MetricsFile
    from zoo_core.observers.previews import Previews
    from zoo_core.observers.status_file import StatusFile
    from zoo_core.observers.tensorboard import TensorBoard

    return [MetricsFile(), TensorBoard(), Previews(), StatusFile()]
