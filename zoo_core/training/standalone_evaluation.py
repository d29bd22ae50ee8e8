"""Evaluate a model on a recipe's data, outside of a run."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from zoo_core.engine.memory import explain_out_of_memory
from zoo_core.engine.own_settings import own_settings
from zoo_core.errors import BadSetting
from zoo_core.model import Model
from zoo_core.registry.resolve import ResolvedRecipe
from zoo_core.training.assemble import RunData, assemble_detached


@dataclass(frozen=True)
class Measured:
    """The metrics of a model, the data they were measured on, and what its dataset warned of."""

    metrics: dict[str, float]
    data: RunData


def evaluate(resolved: ResolvedRecipe, model: Model, step: int, *, validation: bool = False) -> Measured:
    """The metrics of ``model`` on the test split (or validation split), as a run measures them after ``step`` steps.

    Nothing is written, and no plugin's hooks are called.
    """
    with resolved.catalog.active(), own_settings():
        assembly = assemble_detached(resolved, Path(), (), model)
        loop = assembly.loop
        loop.run.step = step
        split = "validation" if validation else "test"
        if not loop.splits.can_evaluate(split):
            raise BadSetting(
                f"the dataset '{resolved.recipe.component('dataset')}' has no {split} examples to evaluate on.",
                "Add some, or choose another dataset: dataset.name=…",
            )
        with loop.engine.flushing_denormals(), explain_out_of_memory(loop.run):
            metrics = loop.evaluator.validate() if validation else loop.evaluator.test()
        loop.engine.release(model)
        loop.engine.close()
    return Measured(metrics, assembly.data)
