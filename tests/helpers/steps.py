"""Steps of a trainer without a training loop, and what the steps of a run leave."""

from __future__ import annotations

from typing import Any

from torch import Tensor

import zoo_core as zoo


def perform(trainer: Any, batch: zoo.Batch) -> zoo.Metrics:
    """One step, as the training loop performs it."""
    metrics: zoo.Metrics = trainer.step(batch)
    trainer.after_step()
    return metrics


class Weights:
    """Callback that keeps the weights after every step."""

    def __init__(self) -> None:
        self.steps: list[dict[str, Tensor]] = []

    @zoo.hookimpl
    def zoo_step_finished(self, run: zoo.Run) -> None:
        self.steps.append({name: one.clone() for name, one in run.model.state_dict().items()})
