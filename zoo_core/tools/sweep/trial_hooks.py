"""The callback of a sweep in the run of a trial: it stores each evaluation, and stops an unpromising run."""

from __future__ import annotations

from collections.abc import Mapping

from zoo_core.errors import BadSetting, ZooError, did_you_mean
from zoo_core.hookspecs import hookimpl
from zoo_core.runs.run import Run
from zoo_core.tools.sweep.plan import SweepSettings
from zoo_core.tools.sweep.study import Study, Trial
from zoo_core.training.signals import EXIT_CODES

PRUNED = "the pruner"


class TrialCallback:
    """Stores the evaluations of one trial's run, and stops the run if the pruner says so."""

    def __init__(self, study: Study, trial: Trial, settings: SweepSettings) -> None:
        self._study, self._number, self._settings = study, trial.number, settings
        self._known = max(trial.intermediate_values, default=-1)
        self.error: ZooError | None = None
        """An error that ends the trial, or the sweep if it is one of the storage; hooks may not raise it."""
        self.signal = ""
        """A signal that arrived during the final evaluation: the run is complete, but the sweep stops."""

    @hookimpl
    def zoo_run_started(self, run: Run) -> None:
        """Prune at once if a killed process had stored the last evaluation without acting on it."""
        if 0 <= self._known <= run.step < run.total_steps:
            self._stop_if_unpromising(run)

    @hookimpl
    def zoo_evaluated(self, run: Run, step: int, metrics: Mapping[str, float]) -> None:
        try:
            value = monitored(metrics, self._settings)
            if step < run.total_steps:
                self._study.report(self._number, step, value)
        except ZooError as error:
            self.error = error
            run.stop("an error")
            return
        if step < run.total_steps:
            # Evaluations before a kill were decided on then, with the trials known at the time.
            if step >= self._known:
                self._stop_if_unpromising(run)
        elif run.stopping in EXIT_CODES:
            self.signal = run.stopping

    def _stop_if_unpromising(self, run: Run) -> None:
        try:
            if self._study.should_prune(self._number):
                run.stop(PRUNED)
        except ZooError as error:
            self.error = error
            run.stop("an error")


def monitored(metrics: Mapping[str, float], settings: SweepSettings) -> float:
    """The value of the metric that the sweep optimizes.

    Raises:
        BadSetting: if the evaluation has no metric of that name.
    """
    if settings.name not in metrics:
        known = f"The evaluation returns {', '.join(metrics) or 'no metrics'}."
        raise BadSetting(
            f"the metric of the sweep: there is no metric '{settings.name}'.",
            f"{did_you_mean(settings.name, metrics) or known} Start the sweep again with another --metric.",
        )
    return metrics[settings.name]
