"""Whether weights hold what they promise: their figures measured again, or their recipe run again."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from zoo_core.config.recipe import Recipe
from zoo_core.config.recipe_files import KEYS, checked
from zoo_core.errors import BadFile, BadSetting
from zoo_core.registry.catalog import Catalog
from zoo_core.weights.header import Header, read_header
from zoo_core.weights.load import load, locate
from zoo_core.weights.metadata import provenance


@dataclass(frozen=True)
class Comparison:
    """Figures that weights state, beside those that were found."""

    stated: Mapping[str, float]
    found: Mapping[str, float]
    tolerance: float
    same_data: bool

    def agrees(self, name: str) -> bool:
        """Whether a figure was found as stated, within ``tolerance`` of it."""
        if name not in self.stated or name not in self.found:
            return False
        return math.isclose(self.stated[name], self.found[name], rel_tol=self.tolerance, abs_tol=1e-12)

    @property
    def differing(self) -> list[str]:
        return [name for name in self.stated if not self.agrees(name)]

    @property
    def agree(self) -> bool:
        return bool(self.stated) and self.same_data and not self.differing

    def rows(self) -> list[dict[str, Any]]:
        """A line for each figure."""
        return [
            {"metric": name, "stated": self.stated[name], "found": self.found.get(name), "agrees": self.agrees(name)}
            for name in self.stated
        ]


def evaluate(source: str | Path, catalog: Catalog, overrides: Iterable[str], tolerance: float) -> Comparison:
    """Measure the weights ``source`` with the recipe in their header, and compare with the figures there.

    Raises:
        ZooError: if there are no weights of that name, or they do not say what they were trained and measured by.
    """
    from zoo_core.registry.resolve import resolve
    from zoo_core.training import runner

    overrides = list(overrides)
    for word in overrides:
        if word.startswith("model."):
            raise BadSetting(f"'{word}' would be another model than these weights are of.", "Leave it out.")
    header = read_header(locate(source, catalog))
    recipe = recipe_of(header).with_overrides(overrides)
    model, _ = load(header.path, catalog)
    measured = runner.evaluate(resolve(recipe, catalog), model, int(header.metadata.get("step", 0)))
    for note in measured.data.warnings:
        warnings.warn(note, stacklevel=2)
    return Comparison(_stated(header), measured.metrics, tolerance, _is_same(header, measured.data.fingerprint))


def reproduce(
    source: str | Path,
    catalog: Catalog,
    overrides: Iterable[str],
    tolerance: float,
    callbacks: Iterable[object] = (),
    folder: Path | None = None,
) -> tuple[Any, Comparison]:
    """Run the recipe in the header of the weights ``source`` again; gives the run, and its figures beside theirs."""
    from zoo_core.registry.resolve import resolve
    from zoo_core.training import runner

    header = read_header(locate(source, catalog))
    stated = _stated(header)
    resolved = resolve(recipe_of(header).with_overrides(overrides), catalog)
    run = runner.run_recipe(resolved, callbacks, folder)
    same_data = _is_same(header, provenance(run.folder)["dataset"])
    return run, Comparison(stated, run.test_metrics, tolerance, same_data)


def recipe_of(header: Header) -> Recipe:
    """The recipe that a weights file was trained by, every setting as it was.

    Raises:
        BadFile: if the file does not say.
    """
    values = dict(header.metadata.get("recipe", {}))
    if not values:
        raise BadFile(f"{header.path} does not say which recipe it was trained by.", f"It says: {header.summary()}.")
    name = str(values.pop("name", "unnamed"))
    return Recipe(name, dict(checked(values, name, header.path, KEYS)))


def _is_same(header: Header, fingerprint: str) -> bool:
    """Whether the data are those of the weights, as far as these say."""
    return bool(header.metadata.get("dataset", fingerprint) == fingerprint)


def _stated(header: Header) -> dict[str, float]:
    metrics = header.metadata.get("metrics", {})
    if not metrics or not all(isinstance(value, (int, float)) for value in metrics.values()):
        raise BadFile(f"{header.path} states no figures.", f"It says: {header.summary()}.")
    return {str(name): float(value) for name, value in metrics.items()}
