"""The trials of a sweep, stored and sampled by Optuna. No other module of zoo imports Optuna."""

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
from sqlalchemy import create_engine, inspect, text
from sqlalchemy.exc import DBAPIError

from zoo_core.errors import BadFile, BadSetting
from zoo_core.tools.sweep.folder import without_password
from zoo_core.tools.sweep.plan import Plan
from zoo_core.tools.sweep.space import Axis, Range, grid_point

STATES = {
    TrialState.RUNNING: "running",
    TrialState.WAITING: "waiting",
    TrialState.COMPLETE: "done",
    TrialState.PRUNED: "pruned",
    TrialState.FAIL: "failed",
}
_TIMEOUT = 60  # seconds that a process waits for another one to finish writing to a SQLite file


@dataclass(frozen=True)
class Trial:
    """One trial, as stored in the database."""

    number: int
    state: str
    """running, done, pruned or failed."""
    params: Mapping[str, str]
    """The sampled settings as text: ``{"trainer.learning_rate": "1e-4"}``."""
    value: float | None
    """The metric at the end; of a trial that is not done, the most recent value."""
    folder_id: str = ""
    """The ``identity`` of the sweep folder that holds its run."""
    notes: Mapping[str, Any] = field(default_factory=dict)
    """``step``, ``seconds``, ``folder``, ``metrics``, and the ``reason`` of a failed trial."""
    intermediate_values: Mapping[int, float] = field(default_factory=dict)
    """The metric at each evaluation during training, by step."""


class Study:
    """The trials of one sweep, in a database that several processes and machines may share."""

    def __init__(self, storage: str, name: str, plan: Plan, *, creates: bool = True) -> None:
        """Open the study ``name``, or create it; without ``creates``, nothing is written.

        Raises:
            BadSetting: if the storage cannot be opened.
        """
        optuna.logging.set_verbosity(optuna.logging.ERROR)  # the command prints its own messages
        self._plan, self.name = plan, name
        self._where = without_password(storage)
        with _opening(storage):
            self._storage = _open_storage(storage, name, plan) if creates else RDBStorage(storage)
        self._id = self._storage.get_study_id_from_name(name)

    def check_definition(self) -> None:
        """Check that the study was created for the same sweep.

        Raises:
            BadSetting: if it was not; names the first difference.
        """
        was, now = self._study().user_attrs["definition"], self._plan.definition()
        for key in [*now, *was]:
            if was.get(key) != now.get(key):
                raise BadSetting(
                    f"{self._where} holds a sweep '{self.name}' with other settings: {key} is "
                    f"{was.get(key, '(none)')} there, and {now.get(key, '(none)')} here.",
                    "Give the same overrides to join that sweep, or another --name to start a new one.",
                )

    def trials(self) -> list[Trial]:
        """All trials that were started, by number."""
        with self._reporting_errors():
            found = self._storage.get_all_trials(self._id)
        # Machines that start trials at the same moment may create more than were asked for.
        return sorted((_as_trial(one) for one in found if one.number < self._plan.trials), key=lambda one: one.number)

    def count(self) -> int:
        """The number of trials that were started."""
        with self._reporting_errors():
            return self._storage.get_n_trials(self._id)

    def trial(self, number: int) -> Trial:
        """The current state of a trial."""
        with self._reporting_errors():
            return _as_trial(self._storage.get_trial(self._identity(number)))

    def create_trial(self, folder_id: str) -> Trial | None:
        """Create a trial for the sweep folder with this ``identity``; None if there are enough trials."""
        if self.count() >= self._plan.trials:
            return None
        with self._reporting_errors():
            template = create_trial(state=TrialState.RUNNING, user_attrs={"folder_id": folder_id})
            created = self._storage.get_trial(self._storage.create_new_trial(self._id, template))
        return _as_trial(created) if created.number < self._plan.trials else None

    def insert(self, trial: Trial) -> None:
        """Store a trial that is recorded elsewhere, with its result; the trials before it should be there."""
        params, kinds = {}, {}
        for key, axis in self._plan.space.items():
            if key in trial.params:
                text, kinds[key] = trial.params[key], _distribution(axis)
                params[key] = text if not isinstance(axis, Range) else type(axis.low)(float(text))
        state = next(kind for kind, name in STATES.items() if name == trial.state)
        template = create_trial(
            state=state,
            value=trial.value if trial.state == "done" else None,
            params=params,
            distributions=kinds,
            user_attrs={**trial.notes, "folder_id": trial.folder_id},
            intermediate_values=dict(trial.intermediate_values),
        )
        with self._reporting_errors():
            self._storage.create_new_trial(self._id, template)

    def suggest(self, number: int) -> dict[str, str]:
        """The settings of a trial: sampled and stored at the first call, and the same at every later one."""
        with self._reporting_errors():
            study, identity = self._study(), self._identity(number)
            for key, axis in self._plan.space.items():
                trial = self._storage.get_trial(identity)
                if key not in trial.params:  # a killed process may have stored some of them
                    value = self._choose(study, trial, key, axis)
                    kind = _distribution(axis)
                    self._storage.set_trial_param(identity, key, kind.to_internal_repr(value), kind)
            return dict(_as_trial(self._storage.get_trial(identity)).params)

    def report(self, number: int, step: int, value: float) -> None:
        """Store the metric of an evaluation during training."""
        with self._reporting_errors():
            self._storage.set_trial_intermediate_value(self._identity(number), step, value)

    def should_prune(self, number: int) -> bool:
        """Whether the pruner would stop the trial after its last evaluation."""
        if self._plan.settings.pruner == "none":
            return False
        with self._reporting_errors():
            return MedianPruner().prune(self._study(), self._storage.get_trial(self._identity(number)))

    def note(self, number: int, **notes: Any) -> None:
        """Store notes on a trial that is not finished."""
        with self._reporting_errors():
            for key, value in notes.items():
                self._storage.set_trial_user_attr(self._identity(number), key, value)

    def finish(self, number: int, state: str, value: float | None = None) -> None:
        """Mark a trial as ``done``, ``pruned`` or ``failed``, which is final."""
        final = next(kind for kind, name in STATES.items() if name == state)
        with self._reporting_errors():
            self._storage.set_trial_state_values(self._identity(number), final, None if value is None else [value])

    def _choose(self, study: optuna.Study, trial: FrozenTrial, key: str, axis: Axis) -> Any:
        if self._plan.settings.sampler == "grid":
            return grid_point(self._plan.space, trial.number)[key]
        # A function of (seed, trial, key) and of the earlier trials: the state of a sampler would be lost by a kill.
        seed = sha256(f"{self._plan.settings.seed}/{trial.number}/{key}".encode()).digest()
        sampler = _sampler(self._plan.settings.sampler, int.from_bytes(seed[:4]))
        value = sampler.sample_independent(study, trial, key, _distribution(axis))
        return axis.rounded(value) if isinstance(axis, Range) else value

    def _identity(self, number: int) -> int:
        return self._storage.get_trial_id_from_study_id_trial_number(self._id, number)

    def _study(self) -> optuna.Study:
        """Load the study again: it caches what it has read, while other processes write."""
        return optuna.load_study(study_name=self.name, storage=self._storage)

    @contextmanager
    def _reporting_errors(self) -> Iterator[None]:
        try:
            yield
        except StorageInternalError as error:
            raise BadFile(
                f"the storage {self._where} can't be reached: {str(error).splitlines()[0].rstrip('.')}.",
                "All runs are saved on disk: continue with --resume when the storage is available.",
            ) from error


def holds_study(storage: str, name: str) -> bool:
    """Whether a storage has a sweep of this name. Nothing is written.

    Raises:
        BadSetting: if the storage cannot be opened.
    """
    with _opening(storage):
        engine = create_engine(storage)
        try:
            with engine.connect() as opened:
                if not inspect(opened).has_table("studies"):
                    return False
                return bool(
                    opened.execute(text("SELECT 1 FROM studies WHERE study_name = :name"), {"name": name}).all()
                )
        finally:
            engine.dispose()


@contextmanager
def _opening(storage: str) -> Iterator[None]:
    where = without_password(storage)
    try:
        yield
    except ImportError as error:
        raise BadSetting(
            f"the storage {where} needs a driver that is not installed.",
            "For PostgreSQL, pip install psycopg2-binary; for MySQL, pip install pymysql.",
        ) from error
    except Exception as error:  # every database driver has its own exceptions
        raise BadSetting(
            f"the storage {where} can't be opened: {str(error).splitlines()[0].rstrip('.')}.",
            "Write an SQLAlchemy URL: postgresql://USER:PASSWORD@HOST/DATABASE, mysql://…, sqlite:///FILE.",
        ) from error


def _open_storage(storage: str, name: str, plan: Plan, attempts: int = 5) -> RDBStorage:
    """Open the storage and create the study in it, unless it exists."""
    options = {"connect_args": {"timeout": _TIMEOUT}} if storage.startswith("sqlite") else {}
    try:
        opened = RDBStorage(storage, engine_kwargs=options)
        direction = StudyDirection.MINIMIZE if plan.settings.minimize else StudyDirection.MAXIMIZE
        study = optuna.create_study(storage=opened, study_name=name, direction=direction, load_if_exists=True)
        if "definition" not in study.user_attrs:
            study.set_user_attr("definition", plan.definition())
    except (DBAPIError, StorageInternalError):
        # If another machine creates the same tables at this moment, one of the two fails.
        if attempts == 1:
            raise
        time.sleep(random.uniform(0.1, 0.5))  # noqa: S311  # no secret
        return _open_storage(storage, name, plan, attempts - 1)
    return opened


def _as_trial(trial: FrozenTrial) -> Trial:
    params = {
        key: value if isinstance(trial.distributions[key], CategoricalDistribution) else repr(value)
        for key, value in trial.params.items()
    }
    intermediate_values = dict(sorted(trial.intermediate_values.items()))
    last = next(reversed(intermediate_values.values()), None)
    value = trial.value if trial.state == TrialState.COMPLETE else last
    notes = {key: value for key, value in trial.user_attrs.items() if key != "folder_id"}
    return Trial(
        trial.number,
        STATES[trial.state],
        params,
        value,
        trial.user_attrs.get("folder_id", ""),
        notes,
        intermediate_values,
    )


def _distribution(axis: Axis) -> BaseDistribution:
    if not isinstance(axis, Range):
        return CategoricalDistribution(axis.texts)
    if axis.is_int:
        return IntDistribution(int(axis.low), int(axis.high), log=axis.log)
    return FloatDistribution(axis.low, axis.high, log=axis.log)


def _sampler(name: str, seed: int) -> BaseSampler:
    # Parameters are sampled independently, so that it does not matter how many of them a killed process had stored.
    if name == "random":
        return RandomSampler(seed)
    return TPESampler(seed=seed, multivariate=False, constant_liar=False)
