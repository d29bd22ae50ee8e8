"""A run: what hooks see of a training."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zoo_core.config.recipe import Recipe, RunSettings
from zoo_core.runs.folder import RunFolder

if TYPE_CHECKING:
    import torch

    from zoo_core.model import Model
    from zoo_core.trainer import Trainer


@dataclass
class Run:
    """One training: where it lies, how far it is, and its last figures."""

    recipe: Recipe
    """What is run: ``recipe.name``, ``recipe.values``, ``recipe.settings("trainer")``."""
    settings: RunSettings
    """The recipe's part ``run``, checked: ``settings.batch_size``."""
    folder: RunFolder
    model: Model
    """What is trained; a hook may look at its parameters."""
    trainer: Trainer
    device: torch.device
    """Where the model is."""
    total_steps: int
    """Steps of the whole run."""
    steps_per_epoch: int
    step: int = 0
    """Steps that are done."""
    train_metrics: dict[str, float] = field(default_factory=dict)
    """The last logged mean of every metric a step reports."""
    test_metrics: dict[str, float] = field(default_factory=dict)
    """The last evaluation."""
    stopping: str = ""
    """Why the run ends before its last step, or "" while it goes on."""
    finishing: str = ""
    """Why its last step comes sooner than the recipe says, or ""."""

    @property
    def path(self) -> Path:
        """The run's folder."""
        return self.folder.path

    @property
    def name(self) -> str:
        """The recipe's name."""
        return self.recipe.name

    @property
    def epoch(self) -> float:
        """Epochs that are done, with their fraction."""
        return self.step / self.steps_per_epoch

    def stop(self, reason: str) -> None:
        """End the run after the step that is under way; it saves what it has, to go on later with ``--resume``."""
        self.stopping = self.stopping or reason

    def finish(self, reason: str) -> None:
        """Let the next step be the last one: the run is done then, is measured, and its weights can be published.

            @zoo.hookimpl
            def zoo_evaluated(self, run, step, metrics):
                if metrics["loss"] > self.best:
                    run.finish("the loss no longer falls")

        Gone on with, the run goes on to the recipe's last step.
        """
        self.finishing = self.finishing or reason

    def due(self, every: int) -> bool:
        """Whether something that happens ``every`` so many steps (0: only at the end) happens now."""
        return bool(every) and self.step % every == 0

    def result(self) -> dict[str, Any]:
        """What the run came to, as plain values."""
        return {
            "recipe": self.name,
            "folder": str(self.path),
            "step": self.step,
            "stopped": self.stopping,
            "train_metrics": self.train_metrics,
            "test_metrics": self.test_metrics,
        }
