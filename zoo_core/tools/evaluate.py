"""Verify the metrics that weights state: evaluate the weights again, or train their recipe again."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zoo_core.config.recipe import Recipe
from zoo_core.config.recipe_files import KEYS, checked
from zoo_core.errors import BadFile, BadSetting
from zoo_core.registry.catalog import Catalog
from zoo_core.weights.header import Header, read_header
from zoo_core.weights.load import find, load, locate
from zoo_core.weights.metadata import provenance

if TYPE_CHECKING:
    from zoo_core.registry.resolve import ResolvedRecipe


@dataclass(frozen=True)
class Comparison:
    """The metrics stated in the metadata of weights, and those that were measured."""

    expected: Mapping[str, float]
    measured: Mapping[str, float]
    tolerance: float
    """The largest relative difference that is accepted."""
    same_data: bool
    """Whether both were measured on the same dataset, by its fingerprint."""

    def matches(self, name: str) -> bool:
        """Whether the measured value of a metric is within ``tolerance`` of the expected one."""
        if name not in self.expected or name not in self.measured:
            return False
        return math.isclose(self.expected[name], self.measured[name], rel_tol=self.tolerance, abs_tol=1e-12)

    @property
    def mismatches(self) -> list[str]:
        """The names of the metrics that do not match."""
        return [name for name in self.expected if not self.matches(name)]

    @property
    def match(self) -> bool:
        """Whether the dataset is the same and all metrics match."""
        return bool(self.expected) and self.same_data and not self.mismatches

    def rows(self) -> list[dict[str, Any]]:
        """A row for each metric. Metrics of other data are not compared: then ``match`` is None."""
        return [
            {
                "metric": name,
                "expected": self.expected[name],
                "measured": self.measured.get(name),
                "match": self.matches(name) if self.same_data else None,
            }
            for name in self.expected
        ]


def evaluate(source: str | Path, catalog: Catalog, overrides: Iterable[str], tolerance: float) -> Comparison:
    """Evaluate the weights ``source`` with the recipe in their metadata, and compare with the metrics there.

    Raises:
        ZooError: if there are no weights of that name, or their metadata has no recipe or no metrics.
    """
    from zoo_core.registry.resolve import resolve
    from zoo_core.training.standalone_evaluation import evaluate as evaluate_model

    overrides = list(overrides)
    for override in overrides:
        if override.startswith("model."):
            raise BadSetting(f"'{override}' does not apply: the weights fix the model's settings.", "Leave it out.")
    header = read_header(locate(source, catalog))
    recipe = recipe_of(header).with_overrides(overrides)
    model, _ = load(header.path, catalog)
    measured = evaluate_model(resolve(recipe, catalog), model, int(header.metadata.get("step", 0)))
    for note in measured.data.warnings:
        warnings.warn(note, stacklevel=2)
    return Comparison(
        _stated_metrics(header), measured.metrics, tolerance, _is_same_data(header, measured.data.fingerprint)
    )


def reproduce(
    source: str | Path,
    catalog: Catalog,
    overrides: Iterable[str],
    tolerance: float,
    callbacks: Callable[[ResolvedRecipe], Iterable[object]] = lambda resolved: (),
    folder: Path | None = None,
) -> tuple[Any, Comparison]:
    """Train the recipe in the metadata of the weights ``source`` again, and compare the metrics of the two."""
    from zoo_core.registry.resolve import resolve
    from zoo_core.training.init_from import INIT_FROM, refuse_other_start
    from zoo_core.training.runner import run_recipe

    header = read_header(locate(source, catalog))
    expected = _stated_metrics(header)
    resolved = resolve(recipe_of(header).with_overrides(overrides), catalog)
    if resolved.settings.init_from is not None:
        start = find(resolved.settings.init_from, catalog, of_any_origin=True)
        refuse_other_start(header.metadata.get(INIT_FROM), start.sha256)
    run = run_recipe(resolved, callbacks(resolved), folder)
    same_data = _is_same_data(header, provenance(run.folder).get("dataset", ""))
    return run, Comparison(expected, run.test_metrics, tolerance, same_data)


def recipe_of(header: Header) -> Recipe:
    """The recipe in the metadata of a weights file, with all settings that it was trained with.

    Raises:
        BadFile: if the metadata has no recipe.
    """
    values = dict(header.metadata.get("recipe", {}))
    if not values:
        raise BadFile(f"the metadata of {header.path} has no recipe.", f"It has: {header.summary()}.")
    name = str(values.pop("name", "unnamed"))
    if isinstance(run := values.get("run"), Mapping):  # where it was recorded does not belong to the weights
        values["run"] = {key: value for key, value in run.items() if key not in ("loggers", "profile")}
    return Recipe(name, dict(checked(values, name, header.path, KEYS)))


def _is_same_data(header: Header, fingerprint: str) -> bool:
    """Whether the fingerprint is that in the metadata of the weights; True if they have none."""
    return bool(header.metadata.get("dataset", fingerprint) == fingerprint)


def _stated_metrics(header: Header) -> dict[str, float]:
    metrics = header.metadata.get("metrics", {})
    if not metrics or not all(isinstance(value, (int, float)) for value in metrics.values()):
        raise BadFile(f"the metadata of {header.path} has no metrics.", f"It has: {header.summary()}.")
    return {str(name): float(value) for name, value in metrics.items()}
