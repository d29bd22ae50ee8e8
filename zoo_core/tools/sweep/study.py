"""The record of a sweep's trials, kept and advised by Optuna: nothing else of zoo knows it."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.exceptions import StorageInternalError
from optuna.pruners import MedianPruner
from optuna.samplers import BaseSampler, RandomSampler, TPESampler
from optuna.storages import RDBStorage
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState, create_trial
from sqlalchemy.exc import DBAPIError

from zoo_core.errors import BadFile, BadSetting
from zoo_core.tools.sweep.folder import without_password
from zoo_core.tools.sweep.plan import Plan
from zoo_core.tools.sweep.space import Axis, Range, grid_cell

STATES = {
    TrialState.RUNNING: "running",
    TrialState.WAITING: "waiting",
    TrialState.COMPLETE: "done",
    TrialState.PRUNED: "pruned",
    TrialState.FAIL: "failed",
}
_PATIENCE = 60  # seconds that a process waits for another's write to a file of SQLite


@dataclass(frozen=True)
class Trial:
    """One trial as the record has it."""

    number: int
    state: str
    """running, done, pruned or failed."""
    texts: Mapping[str, str]
    """Its settings as words have them: ``{"trainer.learning_rate": "1e-4"}``."""
    value: float | None
    """The figure it is judged by; of one that is not done the last that is known."""
    home: str = ""
    """The identity of the sweep's folder that its run lies in."""
    notes: Mapping[str, Any] = field(default_factory=dict)
    """step, seconds, folder, figures, and of a failed one its reason."""
    reported: Mapping[int, float] = field(default_factory=dict)
    """The figure of each evaluation, by step."""


class Study:
    """The trials of one sweep, in a database that several processes and machines may share."""

    def __init__(self, storage: str, name: str, plan: Plan) -> None:
        """Open it, or begin it.

        Raises:
            BadSetting: if the storage cannot be opened.
        """
        optuna.logging.set_verbosity(optuna.logging.ERROR)  # zoo says itself what happens
        self._plan, self.name = plan, name
        self._where = without_password(storage)
        try:
            self._storage = _opened(storage, name, plan)
        except ImportError as error:
            raise BadSetting(
                f"the storage {self._where} needs a driver that is not installed.",
                "For PostgreSQL, pip install psycopg2-binary; for MySQL, pip install pymysql.",
            ) from error
        except Exception as error:  # each database has errors of its own
            raise BadSetting(
                f"the storage {self._where} can't be opened: {str(error).splitlines()[0].rstrip('.')}.",
                "Write it as SQLAlchemy does: postgresql://USER:PASSWORD@HOST/DATABASE, mysql://…, sqlite:///FILE.",
            ) from error
        self._id = self._storage.get_study_id_from_name(name)

    def check_same(self) -> None:
        """Refuse to work on a study that was begun as another sweep.

        Raises:
            BadSetting: if it was; names the first difference.
        """
        was, now = self._study().user_attrs["definition"], self._plan.definition()
        for key in [*now, *was]:
            if was.get(key) != now.get(key):
                raise BadSetting(
                    f"{self._where} holds a sweep '{self.name}' with other settings: {key} is "
                    f"{was.get(key, '(none)')} there, and {now.get(key, '(none)')} here.",
                    "Give the same words to work on that one, or another --name to begin one of your own.",
                )

    def trials(self) -> list[Trial]:
        """Every trial that was begun, in the order of their numbers."""
        with self._reaching():
            found = self._storage.get_all_trials(self._id)
        # Of those that machines began at one moment, some may be more than were asked for.
        return sorted((_told(one) for one in found if one.number < self._plan.trials), key=lambda one: one.number)

    def count(self) -> int:
        """How many trials were begun."""
        with self._reaching():
            return self._storage.get_n_trials(self._id)

    def trial(self, number: int) -> Trial:
        """One trial, as the record has it now."""
        with self._reaching():
            return _told(self._storage.get_trial(self._identity(number)))

    def begin(self, home: str) -> Trial | None:
        """A new trial, whose run will lie in the sweep's folder of this identity; None if there are enough."""
        if self.count() >= self._plan.trials:
            return None
        with self._reaching():
            template = create_trial(state=TrialState.RUNNING, user_attrs={"home": home})
            created = self._storage.get_trial(self._storage.create_new_trial(self._id, template))
        return _told(created) if created.number < self._plan.trials else None

    def settings_of(self, number: int) -> dict[str, str]:
        """What the trial tries: chosen, written down, and the same whenever it is asked for again."""
        with self._reaching():
            study, identity = self._study(), self._identity(number)
            for key, axis in self._plan.space.items():
                trial = self._storage.get_trial(identity)
                if key not in trial.params:  # a process that was killed may have written some of them
                    value = self._choose(study, trial, key, axis)
                    kind = _distribution(axis)
                    self._storage.set_trial_param(identity, key, kind.to_internal_repr(value), kind)
            return dict(_told(self._storage.get_trial(identity)).texts)

    def report(self, number: int, step: int, value: float) -> None:
        """Write down the figure of an evaluation; the same again after a resume."""
        with self._reaching():
            self._storage.set_trial_intermediate_value(self._identity(number), step, value)

    def unpromising(self, number: int) -> bool:
        """Whether the pruner would stop the trial, as its last evaluation was."""
        if self._plan.settings.pruner == "none":
            return False
        with self._reaching():
            return MedianPruner().prune(self._study(), self._storage.get_trial(self._identity(number)))

    def note(self, number: int, **notes: Any) -> None:
        """Write down something of a trial that is not finished."""
        with self._reaching():
            for key, value in notes.items():
                self._storage.set_trial_user_attr(self._identity(number), key, value)

    def finish(self, number: int, state: str, value: float | None = None) -> None:
        """The trial is done, pruned or failed, and stays that."""
        kind = next(kind for kind, name in STATES.items() if name == state)
        with self._reaching():
            self._storage.set_trial_state_values(self._identity(number), kind, None if value is None else [value])

    def _choose(self, study: optuna.Study, trial: FrozenTrial, key: str, axis: Axis) -> Any:
        if self._plan.settings.sampler == "grid":
            return grid_cell(self._plan.space, trial.number)[key]
        # Of (seed, trial, key) alone, and of the trials before: what a sampler keeps in memory a kill would lose.
        seed = sha256(f"{self._plan.settings.seed}/{trial.number}/{key}".encode()).digest()
        sampler = _sampler(self._plan.settings.sampler, int.from_bytes(seed[:4]))
        value = sampler.sample_independent(study, trial, key, _distribution(axis))
        return axis.rounded(value) if isinstance(axis, Range) else value

    def _identity(self, number: int) -> int:
        return self._storage.get_trial_id_from_study_id_trial_number(self._id, number)

    def _study(self) -> optuna.Study:
        """A new one each time: it keeps what it has read, and other processes go on."""
        return optuna.load_study(study_name=self.name, storage=self._storage)

    @contextmanager
    def _reaching(self) -> Iterator[None]:
        try:
            yield
        except StorageInternalError as error:
            raise BadFile(
                f"the storage {self._where} can't be reached: {str(error).splitlines()[0].rstrip('.')}.",
                "What was trained is on disk: go on with --resume when it can be.",
            ) from error


def _opened(storage: str, name: str, plan: Plan, attempts: int = 5) -> RDBStorage:
    """The storage, with the study in it."""
    waits = {"connect_args": {"timeout": _PATIENCE}} if storage.startswith("sqlite") else {}
    try:
        opened = RDBStorage(storage, engine_kwargs=waits)
        direction = StudyDirection.MINIMIZE if plan.settings.lowest else StudyDirection.MAXIMIZE
        study = optuna.create_study(storage=opened, study_name=name, direction=direction, load_if_exists=True)
        if "definition" not in study.user_attrs:
            study.set_user_attr("definition", plan.definition())
    except (DBAPIError, StorageInternalError):
        # Another machine may be making the same tables at this moment, in which one of the two fails.
        if attempts == 1:
            raise
        time.sleep(random.uniform(0.1, 0.5))  # noqa: S311  # no secret
        return _opened(storage, name, plan, attempts - 1)
    return opened


def _told(trial: FrozenTrial) -> Trial:
    texts = {
        key: value if isinstance(trial.distributions[key], CategoricalDistribution) else repr(value)
        for key, value in trial.params.items()
    }
    reported = dict(sorted(trial.intermediate_values.items()))
    last = next(reversed(reported.values()), None)
    value = trial.value if trial.state == TrialState.COMPLETE else last
    notes = {key: held for key, held in trial.user_attrs.items() if key != "home"}
    return Trial(trial.number, STATES[trial.state], texts, value, trial.user_attrs.get("home", ""), notes, reported)


def _distribution(axis: Axis) -> BaseDistribution:
    if not isinstance(axis, Range):
        return CategoricalDistribution(axis.texts)
    if axis.whole:
        return IntDistribution(int(axis.low), int(axis.high), log=axis.log)
    return FloatDistribution(axis.low, axis.high, log=axis.log)


def _sampler(name: str, seed: int) -> BaseSampler:
    # Each parameter by itself, so that it does not matter how many of them a killed process had written.
    if name == "random":
        return RandomSampler(seed)
    return TPESampler(seed=seed, multivariate=False, constant_liar=False)
