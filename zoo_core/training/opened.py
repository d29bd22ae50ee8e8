"""A recipe with its dataset, which says what the settings are that the recipe leaves open."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from zoo_core.data.seeding import seed_step
from zoo_core.data.started_processes import ended_at_exit
from zoo_core.dataset import Dataset
from zoo_core.errors import BadSetting, printable
from zoo_core.registry.resolve import ResolvedRecipe
from zoo_core.training.error_attribution import method_of


@dataclass(frozen=True)
class OpenedRecipe:
    """A complete recipe, its dataset if it has one, and what the dataset has warned of."""

    resolved: ResolvedRecipe
    dataset: Dataset | None
    warnings: list[str]


def open_dataset(resolved: ResolvedRecipe) -> OpenedRecipe:
    """Build the dataset of a recipe, and ask it for the settings that the recipe leaves open.

    Raises:
        BadSetting: if the recipe contradicts the dataset, or a setting is not provided.
    """
    if "dataset" not in resolved.components:
        return OpenedRecipe(resolved, None, [])
    seed_step(resolved.settings.seed, 0, 0, "data")
    with caught_warnings() as messages, ended_at_exit():
        dataset: Dataset = resolved.components["dataset"].load().build()
        if resolved.asks_dataset:
            resolved = resolved.with_provided(_provided(dataset, resolved.recipe.component("dataset")))
    return OpenedRecipe(resolved, dataset, messages)


def _provided(dataset: Dataset, name: str) -> Mapping[str, Any]:
    provided: Any = dataset.provides()
    if not isinstance(provided, Mapping) or not all(isinstance(key, str) for key in provided):
        raise BadSetting(
            f"{method_of('dataset', name, dataset, 'provides')} returns {provided!r:.100}, "
            "but should return a mapping from names to values.",
            'Return for example {"num_classes": 10}, or {}.',
        )
    return provided


@contextmanager
def caught_warnings() -> Iterator[list[str]]:
    """The messages of the UserWarnings in the context, each once and in one line; they become notes of the run."""
    messages: list[str] = []
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", UserWarning)
        yield messages
    texts = (" ".join(str(one.message).split("\n")) for one in caught if one.category is UserWarning)
    messages += dict.fromkeys(map(printable, texts))
