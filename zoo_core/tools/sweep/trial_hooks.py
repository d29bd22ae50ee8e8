"""What a sweep hears of a trial's run: it writes down each evaluation, and stops a run that goes badly."""

from __future__ import annotations

from collections.abc import Mapping

from zoo_core.errors import BadSetting, ZooError, did_you_mean
from zoo_core.hookspecs import hookimpl
from zoo_core.runs.run import Run
from zoo_core.tools.sweep.plan import SweepSettings
from zoo_core.tools.sweep.study import Study, Trial
from zoo_core.training.signals import EXIT_CODES

PRUNED = "the pruner"


class Follow:
    """An callback of one trial's run."""

    def __init__(self, study: Study, trial: Trial, settings: SweepSettings) -> None:
        self._study, self._number, self._settings = study, trial.number, settings
        self._known = max(trial.reported, default=-1)
        self.message: ZooError | None = None
        """What ends the whole sweep: hooks may not raise."""
        self.signal = ""
        """A signal that came while the finished run was measured, which stops no run but the sweep."""

    @hookimpl
    def zoo_run_started(self, run: Run) -> None:
        """A process that was killed may have written an evaluation down, and not acted on it."""
        if 0 <= self._known <= run.step < run.total_steps:
            self._stop_if_unpromising(run)

    @hookimpl
    def zoo_evaluated(self, run: Run, step: int, metrics: Mapping[str, float]) -> None:
        try:
            value = monitored(metrics, self._settings)
            if step < run.total_steps:
                self._study.report(self._number, step, value)
        except ZooError as error:
            self.message = error
            run.stop("a mistake")
            return
        if step < run.total_steps:
            # Of those before the kill it was decided then, with what was known then.
            if step >= self._known:
                self._stop_if_unpromising(run)
        elif run.stopping in EXIT_CODES:
            self.signal = run.stopping

    def _stop_if_unpromising(self, run: Run) -> None:
        try:
            if self._study.unpromising(self._number):
                run.stop(PRUNED)
        except ZooError as error:
            self.message = error
            run.stop("a mistake")


def monitored(metrics: Mapping[str, float], settings: SweepSettings) -> float:
    """The figure that a sweep goes by.

    Raises:
        BadSetting: if the evaluation has none of that name.
    """
    if settings.name not in metrics:
        known = f"The evaluation gives {', '.join(metrics) or 'nothing'}."
        raise BadSetting(
            f"the metric of the sweep: there is no metric '{settings.name}'.",
            f"{did_you_mean(settings.name, metrics) or known} Begin the sweep again with another --metric.",
        )
    return metrics[settings.name]
