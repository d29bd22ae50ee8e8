"""Finishes a run whose monitored metric no longer improves."""

from __future__ import annotations

from zoo_core.checkpoint.best import Monitor
from zoo_core.runs.run import Run
from zoo_core.training.checkpoints import Checkpoints


class EarlyStopping:
    """Counts the evaluations without an improvement of ``run.monitor``, up to ``run.patience``.

    The run then makes one more step, as after any `Run.finish`, which is evaluated as well. A run that is resumed
    afterwards is done, unless its ``run.patience`` is larger by then, or 0. The count is part of the checkpoints.
    """

    def __init__(self, run: Run, checkpoints: Checkpoints) -> None:
        self._run, self._checkpoints = run, checkpoints
        self._monitor = Monitor(run.settings.monitor)

    def _counted_out(self) -> bool:
        limit = self._run.settings.patience
        return bool(limit and self._monitor.name) and self._checkpoints.patience.evaluations >= limit

    def update(self) -> None:
        """Count the validation of this step, after it was compared with the best.

        What follows the end of the patience is not counted.
        """
        run = self._run
        if not self._monitor.name or self._counted_out():
            return
        value = run.validation_metrics[self._monitor.name]
        self._checkpoints.patience.update(value, self._monitor, run.settings.min_delta, run.step)
        # The processes may differ in the last digits of a metric, so the first one decides.
        if self._counted_out() and run.step < run.total_steps and self._checkpoints.engine.is_rank_zero:
            run.finish(self._reason)

    def restore(self) -> None:
        """Finish a resumed run at the step at which it would have been finished."""
        run = self._run
        if self._counted_out():
            run.finish(self._reason)
            run.total_steps = min(run.total_steps, max(self._checkpoints.patience.step + 1, run.step))

    @property
    def _reason(self) -> str:
        count, best = self._checkpoints.patience.evaluations, self._checkpoints.best
        since = "1 evaluation" if count == 1 else f"{count} evaluations"
        value = f", the best is {best.value:.4g} of step {best.step:,}" if best.step >= 0 else ""
        return f"{self._monitor.name} has not improved in {since}{value}"
