"""What a sweep is to do, from a recipe's section ``sweep``, the words behind it, and the command's options."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

from zoo_core.config.recipe import Recipe
from zoo_core.config.settings import read, setting
from zoo_core.errors import BadSetting, ZooError, in_yaml
from zoo_core.tools.sweep.space import Axis, Space, as_words, grid_size, laid_over, parse_axis

if TYPE_CHECKING:
    from zoo_core.registry.catalog import Catalog

_OF_THE_PLACE = ("summary", "run.device", "run.threads", "run.workers", "sweep.trials")


@dataclass(frozen=True, kw_only=True)
class SweepSettings:
    """The section ``sweep`` of a recipe. Options of the command line win over it."""

    metric: str = setting("", "figure whose highest value is the best; -mse: whose lowest; else that of run.monitor")
    trials: int | None = setting(None, "runs in all; null tries every combination", ge=1)
    sampler: Literal["auto", "grid", "random", "tpe"] = setting(
        "auto", "who chooses; auto: grid where every combination is tried, else tpe"
    )
    pruner: Literal["none", "median"] = setting("none", "who stops runs that go badly")
    seed: int = setting(0, "what is drawn follows from it, and not the seed of the runs", ge=0)
    space: dict[str, Any] = setting({}, "choices or a range by key")

    @property
    def name(self) -> str:
        """The figure's name."""
        return self.metric.removeprefix("-")

    @property
    def lowest(self) -> bool:
        """Whether the lowest value is the best."""
        return self.metric.startswith("-")


@dataclass(frozen=True)
class Plan:
    """A sweep: the recipe, the words that hold for every trial, what is tried, and how."""

    recipe: Recipe
    words: tuple[str, ...]
    space: Space
    settings: SweepSettings

    @property
    def trials(self) -> int:
        return self.settings.trials or 0

    def recipe_of(self, texts: Mapping[str, str]) -> Recipe:
        """The recipe of the trial with these settings."""
        # Another name drops its part's settings, so that names come first, and what the user typed lies over them.
        names = [key for key in texts if key.endswith(".name")]
        others = {key: text for key, text in texts.items() if key not in names}
        words = as_words({key: texts[key] for key in names})
        return self.recipe.with_overrides([*words, *self.words, *as_words(others)])

    def as_values(self) -> dict[str, Any]:
        """As a file of the form of a run's ``config.yaml``, which ``zoo run --config`` reads, too."""
        own = {**asdict(self.settings), "words": list(self.words)}
        return {"recipe": self.recipe.name, **self.recipe.values, "sweep": own}

    def definition(self) -> dict[str, str]:
        """What must be the same wherever the same sweep is worked on, by full key."""
        values = self.as_values()
        values["sweep"]["words"] = [word for word in self.words if word.partition("=")[0] not in _OF_THE_PLACE]
        return {key: value for key, value in _flat(values) if key not in _OF_THE_PLACE}


def plan(recipe: Recipe, words: Iterable[str], **options: Any) -> Plan:
    """The sweep of ``recipe`` with ``key=value`` words, and with the command's ``options`` that are not None.

    Raises:
        BadSetting: if it is no sweep, or lacks what it needs.
    """
    given = {key: value for key, value in options.items() if value is not None}
    section = {**recipe.settings("sweep"), **given}
    settings = read(SweepSettings, section, f"the sweep of '{recipe.name}'", "sweep", recipe.where)
    typed: dict[str, Axis | None] = {}
    fixed: dict[str, str] = {}
    for word in words:
        key, _, text = word.partition("=")
        typed[key] = parse_axis(key, text) if key != "summary" else None
        fixed.pop(key, None)
        if typed[key] is None:
            fixed[key] = word
    own = {key: _axis_of_recipe(recipe, key, text) for key, text in settings.space.items() if text is not None}
    space = laid_over(own, typed)
    values = {key: value for key, value in recipe.values.items() if key != "sweep"}
    base = Recipe(recipe.name, values, recipe.plugin, recipe.sources).with_overrides(fixed.values())
    if not space:
        raise BadSetting(
            "nothing is to be tried: no setting has several values.",
            "Write for example trainer.learning_rate=1e-4,3e-4 or trainer.learning_rate=log:1e-4..1e-2.",
        )
    return Plan(base, tuple(fixed.values()), space, _settled(settings, space, base))


def checked(planned: Plan, catalog: Catalog) -> Plan:
    """``planned`` with every default written out, after each choice, and the ends of each range, were looked at.

    Raises:
        ZooError: if a trial would ask for what is not there.
    """
    from zoo_core.engine.devices import find_device
    from zoo_core.registry.resolve import ResolvedRecipe, resolve

    def looked_at(texts: Mapping[str, str]) -> ResolvedRecipe:
        resolved = resolve(planned.recipe_of(texts), catalog)
        resolved.load()  # its classes can be imported
        find_device(resolved.settings.device)
        return resolved

    firsts = {key: axis.ends[0] for key, axis in planned.space.items()}
    others = [{**firsts, key: end} for key, axis in planned.space.items() for end in axis.ends[1:]]
    try:
        first, *_ = [looked_at(texts) for texts in (firsts, *others)]
    except ZooError as error:
        named = next((key for key in planned.space if re.match(rf"{re.escape(key)}\b", error.message)), "")
        error.message = f"{_where(planned.recipe, named)}{error.message}"
        raise
    if planned.settings.pruner != "none" and not first.settings.evaluate_every:
        raise BadSetting(
            "a pruner looks at the evaluations of run.evaluate_every, which is 0.",
            "Add for example run.evaluate_every=100, or leave --pruner out.",
        )
    return replace(planned, recipe=first.recipe)


def _axis_of_recipe(recipe: Recipe, key: str, text: Any) -> Axis:
    try:
        found = parse_axis(key, text) if isinstance(text, str) else None
    except BadSetting as error:
        raise BadSetting(f"{_where(recipe, key)}{error.message}", error.hint) from None
    if found is None:
        raise BadSetting(
            f"{_where(recipe, key)}sweep.space.{key} is {in_yaml(text)}, which is one value.",
            "Write choices with commas, or a range, as text: '1e-4,3e-4' or 'log:1e-4..1e-2'.",
        )
    return found


def _settled(settings: SweepSettings, space: Space, recipe: Recipe) -> SweepSettings:
    """``settings`` in which nothing is left open."""
    metric = settings.metric or recipe.run_settings().monitor
    if not metric.removeprefix("-"):
        raise BadSetting(
            "the sweep names no figure to judge by.",
            "Add --metric accuracy for the highest, or --metric=-mse for the lowest; a run's end prints its figures.",
        )
    size = grid_size(space)
    trials = settings.trials or size
    if trials is None:
        raise BadSetting("with a range there is no end of combinations.", "Say how many to try: --trials 20")
    sampler = settings.sampler
    if sampler == "auto":
        sampler = "grid" if size is not None and trials >= size else "tpe"
    if sampler == "grid" and (size is None or trials > size):
        raise BadSetting(
            f"{trials} trials are more than the {size} combinations."
            if size
            else "a grid is made of choices, and not of ranges.",
            "Leave --trials out to try each once." if size else "Write choices (1e-4,3e-4), or take --sampler tpe.",
        )
    texts = {key: axis.text for key, axis in space.items()}
    return replace(settings, metric=metric, trials=trials, sampler=sampler, space=texts)


def _where(recipe: Recipe, key: str) -> str:
    """The file and line of a key of the recipe's section ``sweep``, or "" for one of the command line."""
    source = recipe.sources.get(("sweep", "space", key))
    return f"{source}: " if source and source.file else ""


def _flat(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    for key, value in values.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", in_yaml(value)
