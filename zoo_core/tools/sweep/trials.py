"""A sweep at work: one trial after the other, each an ordinary run, until all are done or something stops it."""

from __future__ import annotations

import math
import platform
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch

from zoo_core.dataset import Dataset
from zoo_core.errors import RunFailed, ZooError
from zoo_core.registry.catalog import Catalog
from zoo_core.registry.resolve import ResolvedRecipe, resolve
from zoo_core.runs.run import TIME_LIMIT, Run
from zoo_core.tools.sweep.folder import SweepFolder
from zoo_core.tools.sweep.plan import Plan
from zoo_core.tools.sweep.study import Study, Trial
from zoo_core.tools.sweep.trial_hooks import PRUNED, Follow, monitored
from zoo_core.training.runner import evaluate, run_recipe
from zoo_core.training.signals import EXIT_CODES
from zoo_core.weights.metadata import finite_metrics


@dataclass
class Sweep:
    """Works through the trials that no other process works on."""

    folder: SweepFolder
    plan: Plan
    study: Study
    catalog: Catalog
    callbacks: Callable[[], list[object]]
    """New ones for each run."""
    told: Callable[[Trial], None] = lambda trial: None
    """Called as a trial begins, goes on, and ends."""

    def run(self, seconds: float | None = None) -> str:
        """Go on until no trial is left for this process; or until a signal, or the time limit, which it gives back.

        Raises:
            ZooError: for a mistake that every trial would share.
        """
        self._threads = torch.get_num_threads()
        ends = math.inf if seconds is None else time.monotonic() + seconds
        while True:
            left = ends - time.monotonic()
            if left <= 0:
                return TIME_LIMIT
            with self._claimed() as trial:
                if trial is None:
                    return ""
                stopped = self._try(trial, None if seconds is None else left)
            if stopped:
                return stopped

    @contextmanager
    def _claimed(self) -> Iterator[Trial | None]:
        """A trial that was interrupted, or a new one, which is this process's inside; None if there is none."""
        with self.folder.alone():
            found = self._interrupted() or self._new()
        try:
            yield found and found[0]
        finally:
            if found:
                found[1].release()

    def _interrupted(self) -> tuple[Trial, Any] | None:
        for trial in self.study.trials():
            if trial.state == "running" and trial.home == self.folder.identity:
                lock = self.folder.lock(trial.number)
                if lock is None:
                    continue
                now = self.study.trial(trial.number)
                if now.state == "running":
                    return now, lock
                lock.release()  # it ended as we were looking
        return None

    def _new(self) -> tuple[Trial, Any] | None:
        trial = self.study.begin(self.folder.identity)
        lock = self.folder.lock(trial.number) if trial else None
        return (trial, lock) if trial and lock else None

    def _try(self, trial: Trial, seconds: float | None) -> str:
        """Run the trial to its end; or until a signal or the time limit, which it gives back."""
        number = trial.number
        resolved = resolve(self.plan.recipe_of(self.study.settings_of(number)), self.catalog)
        follow, began = Follow(self.study, trial, self.plan.settings), time.monotonic()
        self.study.note(number, folder=f"{platform.node()}:{self.folder.trial(number).path.resolve()}")
        self._tell(number)
        try:
            run = self._train(resolved, number, follow, seconds)
            value = None if run.stopping in (*EXIT_CODES, PRUNED) else self._value(resolved, run)
        except ZooError as error:
            if not isinstance(error, RunFailed):
                raise
            return self._failed(number, error.message)
        except Exception as error:  # of a model that is too large to be built, say: other trials may do better
            return self._failed(number, f"{type(error).__name__}: {error}")
        spent = trial.notes.get("seconds", 0.0) + time.monotonic() - began
        self.study.note(number, step=run.step, seconds=round(spent, 1))
        if run.stopping in EXIT_CODES:
            return run.stopping
        if run.stopping == PRUNED:
            self.study.finish(number, "pruned", self.study.trial(number).value)
        else:
            self.study.note(number, metrics={} if run.stopping else finite_metrics(run.test_metrics))
            self.study.finish(number, "done", value)
        self._tell(number)
        return follow.signal

    def _train(self, resolved: ResolvedRecipe, number: int, follow: Follow, seconds: float | None) -> Run:
        torch.set_num_threads(self._threads)  # the last trial may have chosen others, for the whole process
        place = self.folder.trial(number)
        resume = place.config.is_file()
        if not resume and place.path.exists():
            shutil.rmtree(place.path)  # of a process that was killed before its run had begun
        run = run_recipe(resolved, [*self.callbacks(), follow], place.path, resume, seconds)
        if follow.message:
            raise follow.message
        return run

    def _value(self, resolved: ResolvedRecipe, run: Run) -> float:
        """What the run is judged by: measured on the examples for validation, where they are not the others."""
        metrics = run.test_metrics
        if run.stopping or validates_apart(resolved):
            metrics = evaluate(resolved, run.model, run.step, validation=True).metrics
        value = monitored(metrics, self.plan.settings)
        if not math.isfinite(value):
            raise RunFailed(f"{self.plan.settings.name} is {value} at its end.")
        return value

    def _failed(self, number: int, reason: str) -> str:
        self.study.note(number, reason=reason)
        self.study.finish(number, "failed")
        self._tell(number)
        return ""

    def _tell(self, number: int) -> None:
        self.told(self.study.trial(number))


def validates_apart(resolved: ResolvedRecipe) -> bool:
    """Whether the data set has examples to choose by that are not those of the evaluation."""
    loaded = resolved.components["dataset"].load()
    if loaded.component.validation is Dataset.validation:
        return False
    dataset: Dataset = loaded.build()
    return dataset.validation() is not dataset.test()
