"""The plan of a sweep, from the recipe's section ``sweep``, the overrides and the options of the command."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

from zoo_core.config.recipe import Recipe
from zoo_core.config.settings import read, setting
from zoo_core.errors import BadSetting, in_yaml
from zoo_core.tools.sweep.space import Axis, Space, as_overrides, grid_size, merge_axes, parse_axis

# May differ between the machines that work on one sweep.
_PER_MACHINE = ("summary", "run.device", "run.threads", "run.workers", "sweep.trials")


@dataclass(frozen=True, kw_only=True)
class SweepSettings:
    """The section ``sweep`` of a recipe. Options of the command line override it."""

    metric: str = setting("", "metric to maximize, or -NAME to minimize it; otherwise that of run.monitor")
    trials: int | None = setting(None, "number of runs; null runs every combination", ge=1)
    sampler: Literal["auto", "grid", "random", "tpe"] = setting(
        "auto", "how settings are chosen; auto: grid if every combination is run, otherwise tpe"
    )
    pruner: Literal["none", "median"] = setting("none", "how unpromising runs are stopped early")
    seed: int = setting(0, "seed of the sampler; it does not affect the seed of the runs", ge=0)
    space: dict[str, Any] = setting({}, "choices or a range for each key")

    @property
    def name(self) -> str:
        """The name of the metric."""
        return self.metric.removeprefix("-")

    @property
    def minimize(self) -> bool:
        """Whether the lowest value of the metric is the best."""
        return self.metric.startswith("-")


@dataclass(frozen=True)
class Plan:
    """A sweep: the recipe, the overrides of every trial, the search space, and how it is searched."""

    recipe: Recipe
    overrides: tuple[str, ...]
    space: Space
    settings: SweepSettings

    @property
    def trials(self) -> int:
        return self.settings.trials or 0

    def recipe_of(self, params: Mapping[str, str]) -> Recipe:
        """The recipe of the trial with these settings."""
        # A new component name drops the settings of that component, so names come first and the user's overrides next.
        names = [key for key in params if key.endswith(".name")]
        others = {key: text for key, text in params.items() if key not in names}
        name_overrides = as_overrides({key: params[key] for key in names})
        return self.recipe.with_overrides([*name_overrides, *self.overrides, *as_overrides(others)])

    def as_values(self) -> dict[str, Any]:
        """The content of ``sweep.yaml``, which has the form of ``config.yaml``: ``zoo run --config`` can read it."""
        section = {**asdict(self.settings), "overrides": list(self.overrides)}
        return {"recipe": self.recipe.name, **self.recipe.values, "sweep": section}

    def definition(self) -> dict[str, str]:
        """The values, by full key, that must be equal on all machines that work on the same sweep."""
        values = self.as_values()
        shared = [override for override in self.overrides if override.partition("=")[0] not in _PER_MACHINE]
        values["sweep"]["overrides"] = shared
        return {key: value for key, value in _flat(values) if key not in _PER_MACHINE}


def plan(recipe: Recipe, overrides: Iterable[str], **options: Any) -> Plan:
    """The sweep of ``recipe`` with ``key=value`` overrides and with those command ``options`` that are not None.

    Raises:
        BadSetting: if no setting has several values, or something that a sweep needs is missing.
    """
    given = {key: value for key, value in options.items() if value is not None}
    section = {**recipe.settings("sweep"), **given}
    settings = read(SweepSettings, section, f"the sweep of '{recipe.name}'", "sweep", recipe.where)
    axes: dict[str, Axis | None] = {}
    fixed: dict[str, str] = {}
    for override in overrides:
        key, _, text = override.partition("=")
        axes[key] = parse_axis(key, text) if key != "summary" else None
        fixed.pop(key, None)
        if axes[key] is None:
            fixed[key] = override
    own = {key: _axis_of_recipe(recipe, key, text) for key, text in settings.space.items() if text is not None}
    space = merge_axes(own, axes)
    values = {key: value for key, value in recipe.values.items() if key != "sweep"}
    base = Recipe(recipe.name, values, recipe.plugin, recipe.sources).with_overrides(fixed.values())
    if not space:
        raise BadSetting(
            "the sweep has an empty search space: no setting has several values.",
            "Write for example trainer.learning_rate=1e-4,3e-4 or trainer.learning_rate=log:1e-4..1e-2.",
        )
    return Plan(base, tuple(fixed.values()), space, _complete_settings(settings, space, base))


def _axis_of_recipe(recipe: Recipe, key: str, text: Any) -> Axis:
    try:
        found = parse_axis(key, text) if isinstance(text, str) else None
    except BadSetting as error:
        raise BadSetting(f"{where_in(recipe, key)}{error.message}", error.hint) from None
    if found is None:
        raise BadSetting(
            f"{where_in(recipe, key)}sweep.space.{key} is {in_yaml(text)}, which is a single value.",
            "Write choices separated by commas, or a range, as text: '1e-4,3e-4' or 'log:1e-4..1e-2'.",
        )
    return found


def _complete_settings(settings: SweepSettings, space: Space, recipe: Recipe) -> SweepSettings:
    """``settings`` with metric, trials and sampler filled in."""
    metric = settings.metric or recipe.run_settings().monitor
    if not metric.removeprefix("-"):
        raise BadSetting(
            "the sweep has no metric to compare trials by.",
            "Add --metric accuracy to maximize it, or --metric=-mse to minimize it; `zoo run` prints all metrics.",
        )
    size = grid_size(space)
    trials = settings.trials or size
    if trials is None:
        raise BadSetting("a range has infinitely many values.", "Give the number of trials: --trials 20")
    sampler = settings.sampler
    if sampler == "auto":
        sampler = "grid" if size is not None and trials >= size else "tpe"
    if sampler == "grid" and (size is None or trials > size):
        raise BadSetting(
            f"{trials} trials are more than the {size} combinations."
            if size
            else "the grid sampler needs choices, but the search space has a range.",
            "Leave --trials out to run each once." if size else "Write choices (1e-4,3e-4), or use --sampler tpe.",
        )
    params = {key: axis.text for key, axis in space.items()}
    return replace(settings, metric=metric, trials=trials, sampler=sampler, space=params)


def where_in(recipe: Recipe, key: str) -> str:
    """The file and line of a key in the recipe's section ``sweep``; "" for one from the command line."""
    source = recipe.sources.get(("sweep", "space", key))
    return f"{source}: " if source and source.file else ""


def _flat(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    for key, value in values.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", in_yaml(value)
