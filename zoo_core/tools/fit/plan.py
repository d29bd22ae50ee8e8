"""From a folder to a recipe: the task that recognizes it, its plan, and the number of steps that its time allows."""

from __future__ import annotations

import math
import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from zoo_core.config.recipe import Recipe
from zoo_core.errors import BadFile, BadSetting, UnknownName, did_you_mean
from zoo_core.registry.catalog import Catalog
from zoo_core.registry.entry import Entry
from zoo_core.registry.resolve import ResolvedRecipe, resolve
from zoo_core.registry.task import Budget, Finding, Task
from zoo_core.tools.fit.trial import Trial, try_steps

_TRAINED = 0.9  # of the time that is left for training; the rest is for what the trial has not seen
_EVALUATIONS = 9  # on the validation split, evenly spaced
_EVERY = 500  # steps between them if the recipe gives epochs
_FEWEST_STEPS = 20
_REPLANS, _LESS = 8, 0.2  # plans for less memory until one is another, and how much less of what is above the start


@dataclass(frozen=True)
class Recognized:
    """A folder in which one task has recognized its data."""

    folder: Path
    entry: Entry
    task: Task
    finding: Finding


@dataclass(frozen=True)
class Planned:
    """A recipe for a folder, with the reasons for its settings by their names."""

    recipe: Recipe
    reasons: Mapping[str, str]
    recognized: Recognized
    overrides: tuple[str, ...] = ()


def recognize(folder: Path, catalog: Catalog, name: str | None = None, overrides: Iterable[str] = ()) -> Recognized:
    """Find the task that fits the folder, whose settings ``overrides`` may say; ``name`` chooses one.

    Raises:
        BadFile: if there is no such folder, or no task fits it.
        BadSetting: if several tasks fit.
        UnknownName: if there is no task of that name.
    """
    if not folder.is_dir():
        what = "is a file" if folder.exists() else "does not exist"
        raise BadFile(f"{folder} {what}, but should be a folder of data.", "Write `zoo fit FOLDER`.")
    entries = check_task(name, catalog)
    given = Recipe(recipe_name(folder), {}).with_overrides(overrides).values
    tasks: list[tuple[Entry, Task]] = [(entry, entry.load()()) for entry in entries]
    for fallback in (False, True):
        asked = [(entry, task) for entry, task in tasks if task.fallback is fallback]
        fitting = [Recognized(folder, entry, task, finding) for entry, task, finding in _found(folder, asked, given)]
        found = [one for one in fitting if name is not None or not (one.finding.only_if_chosen or one.finding.doubt)]
        if found:
            break
        _refuse_doubtful(fitting)
    if len(found) == 1:
        return found[0]
    if found:
        listed = "; ".join(f"{one.entry.name} ({one.finding.summary})" for one in found)
        raise BadSetting(
            f"{folder} fits {len(found)} tasks: {listed}.", f"Choose one, for example `--task {found[0].entry.name}`."
        )
    expected = "; ".join(f"{entry.name}: {entry.summary}" for entry in entries)
    form = f"no form that the task '{name}' knows" if name else "no form that a task knows"
    raise BadFile(f"{folder} has {form}{_contents(folder)}.", f"Known are: {expected}.")


def _refuse_doubtful(fitting: Iterable[Recognized]) -> None:
    """Refuse a folder that perhaps means something else than what a task takes it for."""
    for one in fitting:
        if one.finding.doubt:
            problem, _, cure = one.finding.doubt.partition("; ")
            raise BadSetting(
                f"{one.folder} looks like {one.finding.summary}, but {problem}.",
                f"Write `--task {one.entry.name}` if it is that{f'; {cure}' if cure else ''}.",
            )


def _contents(folder: Path) -> str:
    """What is in the folder itself: ``: it contains 2 files ending in .h5, as data.h5``."""
    files = sorted(one for one in folder.iterdir() if one.is_file() and not one.name.startswith("."))
    if not files:
        return ""
    endings = Counter(one.suffix.lower() for one in files)
    ending, count = endings.most_common(1)[0]
    kind = f"ending in {ending}" if ending else "without an ending"
    example = next(one.name for one in files if one.suffix.lower() == ending)
    return f": it contains {count} file{'s' * (count > 1)} {kind}, as {example}"


def check_task(name: str | None, catalog: Catalog) -> list[Entry]:
    """The tasks of this name, or all of them.

    Raises:
        UnknownName: if there is none.
    """
    entries = catalog.registry.of_kind("task")
    chosen = [entry for entry in entries if name is None or name in (entry.name, entry.full_name)]
    if name is not None and not chosen:
        known = [entry.name for entry in entries]
        raise UnknownName(f"there is no task '{name}'.", did_you_mean(name, known, f"Tasks: {', '.join(known)}."))
    return chosen


def _found(
    folder: Path, tasks: Iterable[tuple[Entry, Task]], given: Mapping[str, Any]
) -> Iterable[tuple[Entry, Task, Finding]]:
    for entry, task in tasks:
        task.given = {part: one for part, one in given.items() if isinstance(one, Mapping)}
        finding = task.find(folder)
        if finding is not None:
            yield entry, task, finding


def plan(recognized: Recognized, budget: Budget, overrides: Iterable[str]) -> Planned:
    """The recipe that the task plans, with ``overrides``; without a number of steps unless an override gives it."""
    words = list(overrides)
    made = recognized.task.plan(recognized.folder, recognized.finding, budget)
    values: dict[str, Any] = {
        "summary": recognized.finding.summary,
        **{key: dict(one) for key, one in made.values.items()},
    }
    values["run"] = {"seed": 0, **values.get("run", {})}
    recipe = Recipe(recipe_name(recognized.folder), values).with_overrides(words)
    given = {word.partition("=")[0] for word in words}
    reasons = {key: reason for key, reason in made.reasons.items() if key not in given}
    return Planned(recipe, reasons | dict.fromkeys(given, "given on the command line"), recognized, tuple(words))


def plan_and_resolve(
    recognized: Recognized,
    budget: Budget,
    overrides: Iterable[str],
    catalog: Catalog,
    with_length: Callable[[Planned], Planned],
) -> tuple[Planned, ResolvedRecipe]:
    """The whole plan for a folder, and its recipe resolved; ``with_length`` completes one that has no length.

    Raises:
        ZooError: if the plan, or what the overrides make of it, is not suitable.
    """
    planned = plan(recognized, budget, overrides)
    if not has_length(planned.recipe):
        planned = with_length(planned)
    planned = with_evaluations(planned)
    return planned, resolve(planned.recipe, catalog)  # says what is misspelled before it is in a file


def recipe_name(folder: Path) -> str:
    """The name of the recipe for a folder, which is that of its runs: ``fit-cells``."""
    words = re.findall(r"[a-z0-9]+", unicodedata.normalize("NFKD", folder.resolve().name).lower())
    return "-".join(["fit", *words])


def has_length(recipe: Recipe) -> bool:
    """Whether the recipe says how long it trains."""
    return bool({"steps", "epochs"} & recipe.settings("run").keys())


def fit_to_budget(planned: Planned, budget: Budget, catalog: Catalog, spent: float) -> Planned:
    """Complete a plan by a short trial: as many steps as fit, and a batch for which the memory is sufficient.

    ``spent`` is the time until now, in seconds.

    Raises:
        BadSetting: if not even some steps fit into the time, or a batch into the memory.
    """
    trial = try_steps(planned.recipe, catalog)
    spent += trial.all_seconds
    within = budget
    while trial.memory > budget.memory and isinstance(planned.recipe.settings("run").get("batch_size"), int):
        if _fitting(planned, budget, trial) >= 1:
            planned = _with_smaller_batch(planned, budget, trial)
        else:
            within = _smaller(within, budget, trial)
            planned, within = _planned_again(planned, within, budget, trial)
        trial = try_steps(planned.recipe, catalog)
        spent += trial.all_seconds
    left = 60 * budget.minutes - spent - trial.start - (_EVALUATIONS + 1) * trial.evaluation
    steps = int(_TRAINED * left / trial.step)
    if steps < _FEWEST_STEPS:
        needed = (60 * budget.minutes - left + _FEWEST_STEPS * trial.step / _TRAINED) / 60
        raise BadSetting(
            f"{budget.minutes:g} minutes are too few: a step takes {trial.step:.2g} s, and an evaluation "
            f"{trial.evaluation:.2g} s.",
            f"Write `--minutes {needed + 1:.0f}` or more.",
        )
    reason = f"{trial.step:.2g} s each on this device, for {budget.minutes:g} minutes in all"
    return _with(planned, "steps", _rounded(steps), reason)


def with_evaluations(planned: Planned) -> Planned:
    """The plan with evaluations and previews evenly over its steps, unless it says how often they are."""
    steps = planned.recipe.settings("run").get("steps")
    every = max(1, steps // (_EVALUATIONS + 1)) if steps else _EVERY
    for name in ("evaluate_every", "preview_every"):
        if name not in planned.recipe.settings("run"):
            planned = _with(planned, name, every, "some times in the run")
    return planned


def _example(planned: Planned, trial: Trial) -> float:
    """Bytes of an example of a batch; a small model may need no further memory."""
    return max(1, trial.memory - trial.memory_before) / int(planned.recipe.settings("run")["batch_size"])


def _fitting(planned: Planned, budget: Budget, trial: Trial) -> float:
    """The batch that fits, if all memory is that of its examples."""
    return (budget.memory - trial.memory_before) / _example(planned, trial)


def _with_smaller_batch(planned: Planned, budget: Budget, trial: Trial) -> Planned:
    batch = min(planned.recipe.settings("run")["batch_size"] - 1, 2 ** int(math.log2(_fitting(planned, budget, trial))))
    return _with(planned, "batch_size", batch, f"fits into {in_gib(budget.memory)}")


def _smaller(within: Budget, budget: Budget, trial: Trial) -> Budget:
    """The budget ``within`` which a plan needed too much, less what was missing."""
    before = trial.memory_before
    room = max(0.0, (budget.memory - before) / max(1, trial.memory - before))
    return replace(within, memory=min(before, within.memory) + int(max(0, within.memory - before) * room))


def _planned_again(planned: Planned, within: Budget, budget: Budget, trial: Trial) -> tuple[Planned, Budget]:
    """Another plan, and the budget below ``within`` for which a task plans it.

    Raises:
        BadSetting: if it is the same but for the batch.
    """
    before = trial.memory_before
    for _ in range(_REPLANS if budget.memory > before else 0):
        again = plan(planned.recognized, within, planned.overrides)
        if _without_batch(again) != _without_batch(planned):
            return again, within
        within = replace(within, memory=int(within.memory - _LESS * max(0, within.memory - before)))
    raise BadSetting(
        f"the memory of {in_gib(budget.memory)} is too small: a batch of 1 needs about "
        f"{in_gib(int(before + _example(planned, trial)))}.",
        "Give more with --memory, or choose smaller examples or a smaller model.",
    )


def _without_batch(planned: Planned) -> Mapping[str, Any]:
    run = {key: value for key, value in planned.recipe.settings("run").items() if key != "batch_size"}
    return {**planned.recipe.values, "run": run}


def _with(planned: Planned, name: str, value: int, reason: str) -> Planned:
    recipe = planned.recipe.with_overrides([f"run.{name}={value}"])
    return replace(planned, recipe=recipe, reasons={**planned.reasons, f"run.{name}": reason})


def _rounded(steps: int) -> int:
    """Two significant digits, rounded down."""
    unit = int(10 ** max(0, len(str(steps)) - 2))
    return steps // unit * unit


def in_gib(size: int) -> str:
    """A number of bytes, such as ``4.0 GiB``."""
    return f"{size / 2**30:.1f} GiB" if size >= 2**29 else f"{size / 2**20:.1f} MiB"
