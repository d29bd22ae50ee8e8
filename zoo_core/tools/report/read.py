"""Read the folder of a run. A missing or damaged file adds a note, and the other files are read all the same."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from zoo_core.config.naming import are_same
from zoo_core.config.recipe import Recipe, read_config
from zoo_core.errors import BadFile, ZooError
from zoo_core.registry.catalog import Catalog
from zoo_core.runs.folder import RunFolder
from zoo_core.runs.sessions import Session, State, read_sessions, state_of
from zoo_core.tools.report.curves import Curve, read_curves
from zoo_core.tools.report.differences import Setting, settings_of


@dataclass(frozen=True)
class Published:
    """Published weights of the same recipe, from a registry."""

    name: str
    metrics: Mapping[str, float]


@dataclass(frozen=True)
class RunReport:
    """The contents of a run's report."""

    path: Path
    recipe: str
    summary: str
    state: State
    step: int
    curves: list[Curve]
    settings: list[Setting]
    is_compared: bool
    """Whether the settings are compared with the recipe, which may not be installed."""
    environment: dict[str, Any]
    sessions: list[Session]
    published: list[Published]
    notes: list[str] = field(default_factory=list)
    """Files that could not be read, warnings, and changes of settings."""

    @property
    def test_metrics(self) -> dict[str, float | None]:
        """The metrics of the last evaluation; None for a value that is not finite."""
        return self._last(evaluation=True)

    @property
    def train_metrics(self) -> dict[str, float | None]:
        """The last logged metrics of the training; None for a value that is not finite."""
        return self._last(evaluation=False)

    def _last(self, evaluation: bool) -> dict[str, float | None]:
        return {curve.name: curve.last for curve in self.curves if curve.evaluation is evaluation}

    @property
    def seconds(self) -> float | None:
        """The total duration of all sessions."""
        return sum(one.seconds for one in self.sessions) if self.sessions else None

    @property
    def peak_memory(self) -> int | None:
        """The highest peak memory of all sessions, in bytes."""
        return max((one.peak_memory for one in self.sessions), default=None)

    @property
    def total_steps(self) -> int | None:
        """The planned number of steps; None if the folder has no sessions."""
        return self.sessions[-1].steps if self.sessions else None


def read_run(path: Path, catalog: Catalog) -> RunReport:
    """Read the run in the folder ``path``, and its recipe and published weights from ``catalog``.

    Raises:
        BadFile, BadSetting: if its ``config.yaml`` is not valid.
    """
    folder = RunFolder(path)
    notes: list[str] = []
    config = read_config(folder.config)
    curves = read_curves(folder.metrics, notes)
    environment = _environment(folder, notes)
    sessions = _sessions(folder, notes)
    recipe = _recipe(config, catalog, notes)
    settings = settings_of(config, recipe, environment.get("command"))
    published = _published(config.name, catalog)
    if published and any(one.differs and one.key.startswith("dataset.") for one in settings):
        notes.append("The dataset settings differ from the recipe, so the published metrics are not fully comparable.")
    step = max([curve.steps[-1] for curve in curves], default=0)
    step = max([step, *(one.step for one in sessions)])
    notes += [f"Warning: {note}" for note in environment.get("warnings") or []]
    notes += [_describe_change(one) for one in environment.get("changed") or [] if isinstance(one, dict)]
    return RunReport(
        path=path,
        recipe=config.name,
        summary=config.summary,
        state=state_of(sessions, folder.is_locked()),
        step=step,
        curves=curves,
        settings=settings,
        is_compared=recipe is not None,
        environment=environment,
        sessions=sessions,
        published=published,
        notes=notes,
    )


def _environment(folder: RunFolder, notes: list[str]) -> dict[str, Any]:
    try:
        found: Any = folder.read_environment()
    except ZooError as error:
        notes.append(error.message)
        return {}
    if not isinstance(found, dict):
        notes.append(f"{folder.environment} does not contain a mapping.")
        return {}
    return found


def _sessions(folder: RunFolder, notes: list[str]) -> list[Session]:
    try:
        return read_sessions(folder.sessions)
    except BadFile as error:
        notes.append(error.message)
        return []


def _recipe(config: Recipe, catalog: Catalog, notes: list[str]) -> Recipe | None:
    try:
        return catalog.recipe(config.name)
    except ZooError as error:
        notes.append(f"The settings can't be compared with the recipe: {error.message}")
        return None


def _published(recipe: str, catalog: Catalog) -> list[Published]:
    found = []
    for plugin, name in catalog.weights:
        try:
            entry = catalog.weights.get(plugin, name)
        except ZooError:  # an invalid entry; `zoo weights list` reports it
            continue
        is_of_recipe = are_same(entry.listed.recipe or "", recipe)
        if entry.listed.alias is None and is_of_recipe and entry.listed.metrics:
            found.append(Published(entry.full_name, entry.listed.metrics))
    return found


def _describe_change(change: Mapping[str, Any]) -> str:
    pairs = (f"{key} from {pair[0]} to {pair[1]}" for key, pair in change.items() if key != "step")
    return f"Resumed at step {change.get('step')} with other settings: {', '.join(pairs)}."
