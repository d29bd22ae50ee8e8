"""Evaluation and previews of the model that a run trains."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from zoo_core.checkpoint.serialize import describe_type
from zoo_core.data.image_output import drawable
from zoo_core.data.seeding import seed_step
from zoo_core.dataset import Batch
from zoo_core.engine.engine import AccelerateEngine
from zoo_core.errors import RunFailed, one_line
from zoo_core.runs.run import Run
from zoo_core.training.callbacks import CallbackList
from zoo_core.training.metrics import check_metric
from zoo_core.training.splits import OnDevice, Splits
from zoo_core.training.undisturbed import find_modules, undisturbed


@dataclass
class Evaluator:
    """Evaluates a run's model on a split, and draws its previews."""

    run: Run
    engine: AccelerateEngine
    splits: Splits
    callbacks: CallbackList
    draws: bool = True
    """Whether previews are still drawn: the first one that fails is the last that is tried."""
    undefined: set[str] = field(default_factory=set)
    """Metrics that were NaN or infinite in an evaluation, each of which is warned of once."""

    def validate(self) -> dict[str, float]:
        """Evaluate on the validation split."""
        self.run.validation_metrics = self._evaluate("validation", self.splits.validation_batches)
        return self.run.validation_metrics

    def test(self) -> dict[str, float]:
        """Evaluate on the test split."""
        self.run.test_metrics = self._evaluate("test", self.splits.test_batches)
        return self.run.test_metrics

    def preview(self) -> None:
        """Draw a preview. An error in it is a warning: it ends the previews, and not the run."""
        run = self.run
        if not (run.settings.preview_every and self.draws):
            return
        images, before = None, self._parameters()
        with undisturbed(self._holders()), self.engine.evaluating(self._holders()):
            seed_step(run.settings.seed, 0, 0, "preview")
            if self.engine.is_rank_zero or self.engine.fsdp:  # no process has a sharded network for itself
                batch = next(iter(self._on_device(self.splits.preview_batches)), None)
                try:
                    images = None if batch is None else drawable(run.trainer.preview(batch))
                except Exception as error:  # of a plugin's code
                    self.draws = False
                    why = f"the trainer's preview raised {one_line(f'{type(error).__name__}: {error}', 400)}"
                    if self._parameters() != before:
                        raise RunFailed(
                            f"{why}. It had changed the model's parameters and did not put them back.",
                            "Put them back in `finally:`, or use a copy of the model.",
                        ) from error
                    warnings.warn(f"no more previews are drawn in this run: {why}", stacklevel=2)
        if images is not None:
            self.callbacks.call("zoo_preview", run=run, step=run.step, images=images)

    def _evaluate(self, split: str, batches: Callable[[], Iterable[Batch]]) -> dict[str, float]:
        """Evaluate the model as it is. What the trainer draws for it follows from the seed and the step alone.

        There is nothing to evaluate on a split without examples, which was warned of before the first step.
        """
        run = self.run
        if not len(getattr(self.splits, split)):
            return {}
        shared = self.splits.distributed
        with undisturbed(self._holders()), self.engine.evaluating(self._holders(), shared=shared):
            seed_step(run.settings.seed, run.step, self.engine.rank, "evaluate")
            given = run.trainer.evaluate(self._on_device(batches), self._on_device(self.splits.train_batches))
        metrics = {name: _as_float(name, value) for name, value in given.items()}
        self._warn_of_undefined(split, metrics)
        if metrics:
            self.callbacks.call("zoo_evaluated", run=run, step=run.step, metrics=metrics)
        return metrics

    def _warn_of_undefined(self, split: str, metrics: Mapping[str, float]) -> None:
        new = {name: value for name, value in metrics.items() if not math.isfinite(value)}
        new = {name: value for name, value in new.items() if name not in self.undefined and "/" not in name}
        self.undefined |= new.keys()
        if new and self.engine.is_rank_zero:
            listed = ", ".join(f"{name} is {value}" for name, value in new.items())
            monitored = self.run.settings.monitor.removeprefix("-") in new
            ignored = " It cannot be the best by run.monitor." if monitored else ""
            warnings.warn(f"evaluated on the {split} split at step {self.run.step}, {listed}.{ignored}", stacklevel=2)

    def _parameters(self) -> list[tuple[int, int]]:
        """What changes if a parameter is replaced or modified: its memory and the count of its modifications."""
        modules = [] if self.engine.fsdp else find_modules(self._holders())
        return [(one.data_ptr(), one._version) for module in modules for one in module.parameters(recurse=False)]

    def _holders(self) -> list[object]:
        return [self.run.model, *vars(self.run.trainer).values()]

    def _on_device(self, batches: Callable[[], Iterable[Batch]]) -> OnDevice:
        return OnDevice(batches, self.engine.to_device)


def _as_float(name: str, value: Any) -> float:
    check_metric(name)
    try:
        return float(value)
    except (TypeError, ValueError) as error:
        raise RunFailed(
            f"the trainer's evaluate gives {describe_type(value)} as '{name}', but should give a number."
        ) from error
