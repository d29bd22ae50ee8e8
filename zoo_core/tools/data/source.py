"""The data that ``zoo data`` is about: a folder that a task recognizes, a dataset by name, or that of a recipe."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from zoo_core.config.arguments import as_words, split_arguments
from zoo_core.config.recipe_files import PARTS
from zoo_core.data.batch_maker import BatchMaker, Part
from zoo_core.data.seeding import seed_step
from zoo_core.data.started_processes import ended_at_exit
from zoo_core.dataset import Batch, Dataset, Examples
from zoo_core.errors import BadFile, BadSetting, UnknownName, did_you_mean
from zoo_core.registry.catalog import Catalog
from zoo_core.registry.resolve import ResolvedRecipe, build, resolve
from zoo_core.registry.task import Budget, Finding
from zoo_core.tools.fit.plan import Planned, check_task, plan_and_resolve, recognize
from zoo_core.trainer import Trainer
from zoo_core.training.opened import open_dataset

_BUDGET = Budget(minutes=20.0, memory=4 * 2**30, device="cpu")
_LENGTH = "run.steps=1"  # which a recipe needs


@dataclass
class Source:
    """An opened dataset, and what is known of it."""

    name: str
    dataset: Dataset
    trainer: Trainer | None = None
    """That of the recipe, if there is one."""
    finding: Finding | None = None
    """What a task has recognized, if the source is a folder."""
    splits: dict[str, Examples] = field(default_factory=dict)

    @cached_property
    def provided(self) -> Mapping[str, Any]:
        """What the dataset says of itself."""
        return self.dataset.provides()

    @property
    def class_names(self) -> list[str]:
        """The names of the classes, or their numbers, as far as the dataset says how many there are."""
        names = list(map(str, self.provided.get("class_names") or ()))
        count = self.provided.get("num_classes") or len(names)
        return [names[number] if number < len(names) else str(number) for number in range(int(count))]

    def open_splits(self) -> None:
        """Read the examples of all splits, the training examples without random transforms.

        Raises:
            ZooError: if the data are not suitable.
        """
        methods: dict[str, Callable[[], Examples]] = {
            "train": self.dataset.train_unaugmented,
            "validation": self.dataset.validation,
            "test": self.dataset.test,
        }
        seed_step(0, 0, 0, "data")
        with ended_at_exit():
            self.splits = {split: method() for split, method in methods.items()}
        if type(self.dataset).validation is Dataset.validation:
            del self.splits["validation"]  # it is the test split

    def example(self, split: str, index: int) -> Batch:
        """An example as a batch of one; without random transforms if it is one of the training split.

        Raises:
            ZooError: if it can't be read.
        """
        return self._maker(self.splits[split], split)(Part(f"{split} example", 0, [index], [index]))

    def training_example(self, examples: Examples, index: int, epoch: int) -> Batch:
        """An example of ``train()`` as a run would draw it in an epoch, with the transforms of its trainer.

        Raises:
            ZooError: if it can't be read.
        """
        batch = self._maker(examples, "training")(Part("example", epoch, [index], [index]))
        seed_step(index, epoch + 1, 0)
        return self.trainer.augmented(batch) if self.trainer else batch

    def _maker(self, examples: Examples, split: str) -> BatchMaker:
        return BatchMaker(examples, 0, {"train": "training"}.get(split, split), f"the dataset of {self.name}")


def open_source(given: str, arguments: Iterable[str], catalog: Catalog, task: str | None = None) -> Source:
    """Open a folder, a dataset or the dataset of a recipe, with settings ``key=value``.

    Raises:
        ZooError: as :func:`prepare`, or if the data are not suitable.
    """
    return prepare(given, arguments, catalog, task)()


def prepare(given: str, arguments: Iterable[str], catalog: Catalog, task: str | None = None) -> Callable[[], Source]:
    """What opens a folder, a dataset or the dataset of a recipe; data are read when it is called.

    Raises:
        BadFile, UnknownName: if there is no such thing.
        BadSetting: if a setting is not suitable.
    """
    words = list(arguments)
    is_name = _is_dataset(given, catalog) or given in catalog.recipes
    if os.path.isdir(given):
        if is_name and os.sep not in given:
            raise BadSetting(
                f"'{given}' is the name of a dataset or recipe, and there is a folder called {given}.",
                f"Write ./{given} for the folder.",
            )
        check_task(task, catalog)
        return lambda: _of_folder(given, words, catalog, task)
    if task is not None:
        raise BadSetting(f"--task is for a folder, but {given} is none.", "Leave it out.")
    if _is_dataset(given, catalog):
        _refuse_other_parts(given, words)
        settings = as_words(split_arguments(word.removeprefix("dataset.") for word in words))
        dataset = build("dataset", given, settings, catalog)
        return lambda: Source(given, dataset)
    if given in catalog.recipes:
        return _of_recipe(given, words, catalog)
    if os.path.lexists(given):
        raise BadFile(f"{given} is a file, but should be a folder of data.", "Give the folder that contains it.")
    known = [entry.name for entry in catalog.registry.of_kind("dataset")]
    raise UnknownName(
        f"{given} is no folder, no dataset and no recipe.",
        did_you_mean(given, known, "`zoo list datasets` lists the datasets."),
    )


def _refuse_other_parts(dataset: str, words: list[str]) -> None:
    for word in words:
        part, _, rest = word.partition(".")
        if part in (*PARTS, "run") and part != "dataset" and "=" in rest:
            raise BadSetting(
                f"{word} is a setting of a recipe, but {dataset} is a dataset.",
                "Leave it out, or give a recipe: `zoo list`.",
            )


def _is_dataset(name: str, catalog: Catalog) -> bool:
    return any(name in (entry.name, entry.full_name) for entry in catalog.registry.of_kind("dataset"))


def _of_folder(given: str, words: list[str], catalog: Catalog, task: str | None) -> Source:
    folder = Path(os.path.realpath(given))  # as in the plan, so that names are the same
    recognized = recognize(folder, catalog, task, _with_part(words))
    _, resolved = plan_and_resolve(recognized, _BUDGET, _with_part(words), catalog, _with_length)
    return _of_resolved(resolved, given, recognized.finding)


def _with_length(planned: Planned) -> Planned:
    return replace(planned, recipe=planned.recipe.with_overrides([_LENGTH]))


def _of_recipe(name: str, words: list[str], catalog: Catalog) -> Callable[[], Source]:
    recipe = catalog.recipe(name, *_with_part(words))
    if "dataset" not in recipe.parts:
        raise BadSetting(f"the recipe '{name}' has no dataset.", "Give a folder or a dataset: `zoo list datasets`.")
    resolved = resolve(recipe, catalog)
    return lambda: _of_resolved(resolved, name, None)


def _of_resolved(resolved: ResolvedRecipe, name: str, finding: Finding | None) -> Source:
    opened = open_dataset(resolved)
    for message in opened.warnings:  # notes of a run
        warnings.warn(message, stacklevel=2)
    assert opened.dataset is not None  # noqa: S101  # the recipe has one
    return Source(name, opened.dataset, opened.resolved.load()["trainer"].build(), finding)


def _with_part(words: list[str]) -> list[str]:
    """``key=value`` as ``dataset.key=value``."""
    parts = tuple(f"{part}." for part in (*PARTS, "run"))
    return [word if word.startswith(parts) else f"dataset.{word}" for word in words]
