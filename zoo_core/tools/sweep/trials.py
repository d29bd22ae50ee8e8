"""Runs the trials of a sweep, one after the other, each as an ordinary run."""

from __future__ import annotations

import math
import platform
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

from zoo_core.dataset import Dataset
from zoo_core.errors import BadFile, NameTaken, RunFailed, RunStopped, ZooError, raised
from zoo_core.registry.catalog import Catalog
from zoo_core.registry.resolve import ResolvedRecipe, resolve
from zoo_core.runs.run import TIME_LIMIT, Run
from zoo_core.tools.sweep.folder import SweepFolder
from zoo_core.tools.sweep.plan import Plan
from zoo_core.tools.sweep.records import write_record
from zoo_core.tools.sweep.study import Study, Trial
from zoo_core.tools.sweep.trial_hooks import PRUNED, TrialCallback, monitored
from zoo_core.training.runner import run_recipe
from zoo_core.training.signals import EXIT_CODES
from zoo_core.training.standalone_evaluation import evaluate
from zoo_core.weights.metadata import finite_metrics


@dataclass
class TrialRunner:
    """Runs the trials of a sweep that no other process is running."""

    folder: SweepFolder
    plan: Plan
    study: Study
    catalog: Catalog
    callbacks: Callable[[ResolvedRecipe], list[object]]
    """Returns new callbacks for a run."""
    on_change: Callable[[Trial], None] = lambda trial: None
    """Called when a trial starts, is resumed, and ends."""

    def run(self, seconds: float | None = None) -> str:
        """Run trials until none is left; or until a signal or the time limit, whose name is returned.

        Raises:
            ZooError: for an error that every trial would have.
        """
        deadline = math.inf if seconds is None else time.monotonic() + seconds
        while True:
            remaining = deadline - time.monotonic()
            if remaining <= 0:
                return TIME_LIMIT
            with self._claim_trial() as trial:
                if trial is None:
                    return ""
                stopped_by = self._run_trial(trial, None if seconds is None else remaining)
            if stopped_by:
                return stopped_by

    @contextmanager
    def _claim_trial(self) -> Iterator[Trial | None]:
        """An interrupted trial, or a new one, locked for this process within the context; None if there is none."""
        with self.folder.exclusive():
            found = self._interrupted_trial() or self._new_trial()
        try:
            yield found and found[0]
        finally:
            if found:
                found[1].release()

    def _interrupted_trial(self) -> tuple[Trial, Any] | None:
        for trial in self.study.trials():
            if trial.state == "running" and trial.folder_id == self.folder.identity:
                lock = self.folder.lock(trial.number)
                if lock is None:
                    continue
                current = self.study.trial(trial.number)
                if current.state == "running":
                    return current, lock
                lock.release()  # it ended before the lock was acquired
        return None

    def _new_trial(self) -> tuple[Trial, Any] | None:
        trial = self.study.create_trial(self.folder.identity)
        lock = self.folder.lock(trial.number) if trial else None
        return (trial, lock) if trial and lock else None

    def _run_trial(self, trial: Trial, seconds: float | None) -> str:
        """Run the trial to its end; or until a signal or the time limit, whose name is returned."""
        number = trial.number
        params = self.study.suggest(number)
        callback, start = TrialCallback(self.study, trial, self.plan.settings), time.monotonic()
        self.study.note(number, folder=f"{platform.node()}:{self.folder.trial(number).path.resolve()}")
        self._notify(number)
        try:
            resolved = resolve(self.plan.recipe_of(params), self.catalog)
            run = self._train(resolved, number, callback, seconds)
            value = None if run.stopping in (*EXIT_CODES, PRUNED) else self._final_value(resolved, run)
        except Exception as error:  # whatever it is, such as a combination that is not possible: others may succeed
            if isinstance(callback.error, BadFile):  # of the storage, for every trial
                raise callback.error from error
            if isinstance(error, RunStopped) or self._is_trained_elsewhere(number, error):
                raise
            return self._fail(number, _first_line(error))
        seconds_total = trial.notes.get("seconds", 0.0) + time.monotonic() - start
        self.study.note(number, step=run.step, seconds=round(seconds_total, 1))
        if run.stopping in EXIT_CODES:
            return run.stopping
        if run.stopping == PRUNED:
            self.study.finish(number, "pruned", self.study.trial(number).value)
        else:
            self.study.note(number, metrics={} if run.stopping else finite_metrics(run.test_metrics))
            self.study.finish(number, "done", value)
        self._notify(number)
        return callback.signal

    def _train(self, resolved: ResolvedRecipe, number: int, callback: TrialCallback, seconds: float | None) -> Run:
        folder = self.folder.trial(number)
        resume = folder.config.is_file()
        if not resume and folder.path.exists():
            shutil.rmtree(folder.path)  # left by a process that was killed before its run had started
        run = run_recipe(resolved, [*self.callbacks(resolved), callback], folder.path, resume, seconds)
        if callback.error:
            raise callback.error
        return run

    def _final_value(self, resolved: ResolvedRecipe, run: Run) -> float:
        """The metric of the run, measured on the validation split if the dataset has one."""
        metrics = run.test_metrics
        if run.stopping or has_validation_split(resolved):
            metrics = evaluate(resolved, run.model, run.step, validation=True).metrics
        value = monitored(metrics, self.plan.settings)
        if not math.isfinite(value):
            raise RunFailed(f"{self.plan.settings.name} is {value} at the end of the run.")
        return value

    def _is_trained_elsewhere(self, number: int, error: Exception) -> bool:
        """Whether the trial is not run because `zoo run --resume` has begun to train it since it was claimed."""
        return isinstance(error, NameTaken) and self.folder.trial(number).is_locked()

    def _fail(self, number: int, reason: str) -> str:
        self.study.note(number, reason=reason)
        self.study.finish(number, "failed")
        self._notify(number)
        return ""

    def _notify(self, number: int) -> None:
        trial = self.study.trial(number)
        if trial.state != "running":
            with suppress(OSError):  # of a full disk; the database has it, too
                write_record(self.folder, trial)
        self.on_change(trial)


def _first_line(error: Exception) -> str:
    return error.message.split("\n")[0] if isinstance(error, ZooError) else raised(error)


def has_validation_split(resolved: ResolvedRecipe) -> bool:
    """Whether the dataset has a validation split that is not its test split."""
    if "dataset" not in resolved.components:
        return False
    loaded = resolved.components["dataset"].load()
    if loaded.component.validation is Dataset.validation:
        return False
    dataset: Dataset = loaded.build()
    return dataset.validation() is not dataset.test()
