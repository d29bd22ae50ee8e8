"""Steps of a trainer without a training loop."""

from __future__ import annotations

from typing import Any

import zoo_core as zoo


def perform(trainer: Any, batch: zoo.Batch) -> zoo.Metrics:
    """One step, as the training loop performs it."""
    metrics: zoo.Metrics = trainer.step(batch)
    trainer.after_step()
    return metrics
