"""Recipes: one model, one trainer, usually one dataset, and their settings, merged key by key."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from zoo_core.config.recipe_files import (
    KEYS,
    PARTS,
    Key,
    Source,
    check_name,
    check_summary,
    checked,
    read_yaml,
)
from zoo_core.config.run_settings import RunSettings
from zoo_core.config.settings import read
from zoo_core.config.step_range import StepRange
from zoo_core.config.word import Word
from zoo_core.config.yaml_reader import as_text
from zoo_core.errors import BadSetting, in_yaml, nearest

_OPTIONS_OF = {"optimizer": "optimizer_options", "schedule": "schedule_options"}
"""The settings of `zoo.OptimizerConfig` that give options to what another one names."""
WITHOUT_EVALUATIONS = (
    "run.evaluate_every=0",
    'run.monitor=""',
    "run.load_best_at_end=false",
    "run.patience=0",
    "run.min_delta=0",
)
"""Overrides for a run without evaluations, and without the settings that need them."""


@dataclass(frozen=True, repr=False)
class Recipe:
    """A recipe: the names and settings of a model, a dataset and a trainer, and the settings of the run.

    A recipe of a training that needs no data, such as self-play, has no dataset. `recipe` returns a recipe.
    Recipes do not change; `with_overrides` returns a new one.

    Attributes
    ----------
    name : str
        Name of the recipe.
    values : mapping of str to object
        Plain values by part: ``{"model": {"name": "clsgan", "latent_dim": 96}, "dataset": ..., "trainer": ...,
        "run": ...}``. Settings that no file and no override sets are left out.
    plugin : str
        The plugin that registered the recipe; empty for a recipe of the user.
    sources : mapping
        For each key of ``values``, as a tuple, the file and line that set it. For error messages.

    See Also
    --------
    recipe : Look up a recipe by its name.
    run : Train a recipe.

    Examples
    --------
    >>> recipe = zoo.recipe("clsgan-mnist", "run.steps=100")
    >>> recipe
    <Recipe clsgan-mnist: model clsgan, dataset mnist, trainer clsgan>
    >>> recipe.settings("run")["steps"]
    100
    """

    name: str
    values: Mapping[str, Any]
    plugin: str = ""
    sources: Mapping[Key, Source] = field(default_factory=dict)

    def __repr__(self) -> str:
        names = ((part, (self.values.get(part) or {}).get("name")) for part in PARTS)
        return f"<Recipe {self.name}: {', '.join(f'{part} {name}' for part, name in names if name)}>"

    @property
    def summary(self) -> str:
        """Summary of the recipe in one line, or an empty string."""
        return str(self.values.get("summary", ""))

    @property
    def parts(self) -> tuple[str, ...]:
        """Its parts that name a component: "model" and "trainer", and "dataset" if it has one."""
        return tuple(part for part in PARTS if part != "dataset" or self.values.get(part))

    def component(self, part: str) -> str:
        """Return the name of the model, dataset or trainer.

        Parameters
        ----------
        part : {"model", "dataset", "trainer"}
            Part of the recipe.

        Returns
        -------
        str
            The registered name.

        Raises
        ------
        BadSetting
            If the recipe does not name one.
        """
        name = (self.values.get(part) or {}).get("name")
        if name is not None and not isinstance(name, str):
            raise BadSetting(
                f"{self.where(f'{part}.name')}{part}.name is {in_yaml(name)}, but should be text.",
                f"`zoo list {part}s` shows the names; quote one that YAML does not read as text.",
            )
        if name is None:
            raise BadSetting(
                f"{self.where(part)}recipe '{self.name}' has no {part}.",
                f"Add `{part}: {{name: …}}`; see `zoo list {part}s`.",
            )
        return name

    def settings(self, part: str) -> dict[str, Any]:
        """Return the settings of a part.

        Parameters
        ----------
        part : {"model", "dataset", "trainer", "run"}
            Part of the recipe.

        Returns
        -------
        dict of str to object
            The settings that a file or an override sets, without the name of the component.
        """
        return {key: value for key, value in (self.values.get(part) or {}).items() if key != "name" or part == "run"}

    def run_settings(self) -> RunSettings:
        """Return the settings of the part ``run``, validated and with their defaults.

        Returns
        -------
        RunSettings
            The settings, as attributes: ``batch_size``, ``seed`` and so on.

        Raises
        ------
        BadSetting
            If a setting is unknown, of the wrong type or out of range, or the length of the run is not given by either
            ``run.steps`` or ``run.epochs``.
        """
        settings = read(RunSettings, typed_settings(self, "run"), f"recipe '{self.name}'", "run", self.where)
        if (settings.steps is None) == (settings.epochs is None):
            length = "either run.steps or run.epochs" if "dataset" in self.parts else "run.steps"
            raise BadSetting(f"recipe '{self.name}' should give {length}.", "Add `run.steps=1000`.")
        if "dataset" not in self.parts:
            self._refuse_counts_of_examples(settings)
        self._check_monitor(settings)
        if settings.profile != "":
            StepRange.read("run.profile", settings.profile, self.where("run.profile"))
        return settings

    def _refuse_counts_of_examples(self, settings: RunSettings) -> None:
        """Refuse settings that count examples, of which a recipe without a dataset has none."""
        if settings.epochs is not None:
            raise BadSetting(
                f"{self.where('run.epochs')}run.epochs is {settings.epochs:g}, but recipe '{self.name}' has no "
                "dataset, whose examples an epoch would count.",
                "Write `run.steps=1000`, or add `dataset: {name: …}`; see `zoo list datasets`.",
            )
        if self.settings("run").get("batch_size") is not None:
            raise BadSetting(
                f"{self.where('run.batch_size')}run.batch_size is {settings.batch_size}, but recipe '{self.name}' has "
                "no dataset, whose examples it would count.",
                "Leave it out: how much a step generates is a setting of the trainer, see `zoo info "
                f"{self.component('trainer')}`.",
            )

    def _check_monitor(self, settings: RunSettings) -> None:
        """Refuse settings that need another one beside them."""
        if settings.monitor == "-":
            raise BadSetting(
                f"{self.where('run.monitor')}run.monitor is '-', without the name of a metric.",
                "Write for example `run.monitor=accuracy`, or `run.monitor=-mse` for the lowest.",
            )
        if settings.monitor and not settings.evaluate_every:
            raise BadSetting(
                f"{self.where('run.monitor')}run.monitor is '{settings.monitor}', but run.evaluate_every is 0, "
                "so there is nothing to compare.",
                "Write for example `run.evaluate_every=1000`.",
            )
        also = "" if settings.evaluate_every else " run.evaluate_every=1000"
        example = f"Add for example `run.monitor=accuracy{also}`, or `run.monitor=-mse{also}` for the lowest"
        if settings.load_best_at_end and not settings.monitor:
            raise BadSetting(
                f"{self.where('run.load_best_at_end')}run.load_best_at_end is true, but run.monitor names no metric, "
                "so no checkpoint is the best.",
                f"{example}; or leave run.load_best_at_end out.",
            )
        if settings.patience and not settings.monitor:
            raise BadSetting(
                f"{self.where('run.patience')}run.patience is {settings.patience}, but run.monitor names no metric, "
                "so there is nothing to wait for.",
                f"{example}.",
            )
        if settings.min_delta and not settings.patience:
            raise BadSetting(
                f"{self.where('run.min_delta')}run.min_delta is {settings.min_delta}, but run.patience is 0, "
                "so it has no effect.",
                "Add for example `run.patience=3`, or leave run.min_delta out.",
            )

    def where(self, full_key: str) -> str:
        """Return the source of a key, as the beginning of an error message.

        Parameters
        ----------
        full_key : str
            Dotted key, such as ``"trainer.learning_rate"``.

        Returns
        -------
        str
            For example ``"registry.yaml:14: "``; empty if the key is not set in a file.
        """
        key = tuple(full_key.split("."))
        while key and key not in self.sources:
            key = key[:-1]
        if not key or self.sources[key].file is None:
            return ""
        return f"{self.sources[key]}: "

    def with_overrides(
        self, overrides: Iterable[str], all_keys: Callable[[], Mapping[str, str]] = dict[str, str]
    ) -> Recipe:
        """Return a copy with overrides applied in order, after those that name a component, an optimizer or a schedule.

        Parameters
        ----------
        overrides : iterable of str
            Overrides ``key=value``, such as ``"run.steps=100"``.
        all_keys : callable, optional
            Returns the dotted key of every setting by its name. Called only to suggest a key in an error message.

        Returns
        -------
        Recipe
            The new recipe.

        Raises
        ------
        BadSetting
            If an override is not ``key=value`` or its key is not that of a setting.
        """
        values, sources = dict(self.values), dict(self.sources)
        overrides = list(overrides)
        lengths = [one for one in overrides if isinstance(one, str) and one.startswith(("run.steps=", "run.epochs="))]
        given = [one for one in lengths if one.partition("=")[2] not in ("null", "None", "~", "")]
        if len({one.partition("=")[0] for one in given}) == 2:
            raise BadSetting(
                f"{' and '.join(given)} contradict each other: both state the length of the run.",
                "Leave one of them out.",
            )
        for override in sorted(overrides, key=_names_something, reverse=True):  # which removes the options of others
            path, word = _parse_override(override, self, all_keys)
            nested: Any = word.text if path == ("summary",) or _may_be_text(path, word) else word.value
            for part in reversed(path):
                nested = {part: nested}
            values = merge(values, nested, sources, Source(None))
            check_summary(values.get("summary", ""), Source(None))
            if path != ("summary",):
                sources |= {key: Source(None, key, typed) for key, typed in [(path, word), *_leaves(path, word)]}
        return Recipe(self.name, values, self.plugin, sources)

    def as_yaml(self) -> str:
        """Return the recipe as YAML, which ``zoo run --config`` reads.

        Returns
        -------
        str
            The text of the file.
        """
        return as_text({"recipe": self.name, **self.values})


def typed_settings(recipe: Recipe, part: str) -> dict[str, Any]:
    """The settings of a part, of which those on the command line are words, as they were typed."""

    def typed(value: Any, key: Key) -> Any:
        source = recipe.sources.get(key)
        whole = None if source is None else source.typed
        if isinstance(value, Mapping) and not (isinstance(whole, Word) and whole == value):
            return {name: typed(one, (*key, name)) for name, one in value.items()}  # of several overrides or files
        return value if whole is None else whole

    return {name: typed(value, (part, name)) for name, value in recipe.settings(part).items()}


def read_config(path: Path) -> Recipe:
    """A run's ``config.yaml``, or any file of the same form, as a recipe."""
    values = read_yaml(path)
    if "recipe" in values:
        check_name(values["recipe"], Source(path, ("recipe",)))
    name = str(values.pop("recipe", path.stem))
    checked(values, name, path, ("recipe", *KEYS))
    sources: dict[Key, Source] = {}
    return Recipe(name, merge({}, values, sources, Source(path)), "", sources)


def merge(
    base: Mapping[str, Any], over: Mapping[str, Any], sources: dict[Key, Source], source: Source, at: Key = ()
) -> dict[str, Any]:
    """``base`` updated with ``over``: mappings are merged, other values replaced. Records origins in ``sources``.

    A part that gets another ``name`` loses the settings of the old component, and a trainer that gets another
    ``optimizer`` or ``schedule`` the options of the old one. A new ``steps`` removes ``epochs``, and the other way
    around.
    """
    merged = dict(base)
    if "name" in over and "name" in base and over["name"] != base["name"] and len(at) == 1:
        merged = {}
        _forget(sources, at, itself=False)
    for one, options in _OPTIONS_OF.items() if at == ("trainer",) else ():
        # Options of an optimizer that the recipe does not name are those of the trainer's default, which may be meant.
        if options in merged and None not in (base.get(one), over.get(one)) and over[one] != base[one]:
            del merged[options]
            _forget(sources, (*at, options))
    for one, other in (("steps", "epochs"), ("epochs", "steps")):
        if at == ("run",) and over.get(one) is not None and other not in over and other in merged:
            del merged[other]
            _forget(sources, (*at, other))
    for key, value in over.items():
        place, origin = (*at, key), Source(source.file, (*source.key, key))
        if isinstance(value, Mapping):
            below = merged.get(key)
            sources[place] = origin
            merged[key] = merge(below if isinstance(below, Mapping) else {}, value, sources, origin, place)
        else:
            if key in merged:
                _forget(sources, place)
            sources[place] = origin
            merged[key] = value
    return merged


def _names_something(override: str) -> bool:
    """Whether an override names a component, an optimizer or a schedule."""
    key = override.partition("=")[0] if isinstance(override, str) else ""
    return key in {f"{part}.name" for part in PARTS} | {f"trainer.{one}" for one in _OPTIONS_OF}


def _parse_override(override: str, recipe: Recipe, all_keys: Callable[[], Mapping[str, str]]) -> tuple[Key, Word]:
    """The key and the value of ``"trainer.learning_rate=1e-4"``."""
    if not isinstance(override, str):
        raise BadSetting(f"the override {override!r} should be text, key=value.", "Write for example 'run.steps=100'.")
    key, equals, text = override.partition("=")
    path = key.split(".")
    if not equals or not all(path):
        raise BadSetting(f"'{override}' should be key=value.", "Write for example `trainer.learning_rate=1e-4`.")
    if path[0] not in ("summary", "run", *PARTS) or (len(path) == 1 and path[0] != "summary"):
        known = {known[-1]: ".".join(known) for known in recipe.sources if len(known) == 2}
        known |= {name: f"run.{name}" for name in RunSettings.__dataclass_fields__} | dict(all_keys())
        near = nearest(path[-1], known)
        parts = "Keys start with run., model., dataset. or trainer."
        raise BadSetting(f"a recipe has no setting '{key}'.", f"Did you mean '{known[near]}'?" if near else parts)
    return tuple(path), Word(text)


def _may_be_text(key: Key, word: Word) -> bool:
    """Whether a mapping without braces, such as ``a: b.png``, is kept as one value, since its setting may be text."""
    return len(key) > 1 and isinstance(word.value, dict) and not word.typed.lstrip().startswith("{")


def _leaves(key: Key, typed: Any) -> Iterator[tuple[Key, Any]]:
    """What was typed as a mapping, value by value, since each of them may be overridden."""
    parts = typed.parts() if isinstance(typed, Word) and not _may_be_text(key, typed) else typed
    if isinstance(parts, dict):
        for name, one in parts.items():
            yield from _leaves((*key, name), one)
    else:
        yield key, typed


def _forget(sources: dict[Key, Source], key: Key, itself: bool = True) -> None:
    for known in [known for known in sources if known[: len(key)] == key and (itself or known != key)]:
        del sources[known]
