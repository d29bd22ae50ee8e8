"""What a run's weights file says about the run: the metadata in its header."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from zoo_core.runs.environment import versions
from zoo_core.runs.folder import RunFolder
from zoo_core.runs.run import Run


def weights_metadata(run: Run) -> dict[str, Any]:
    """What a run's ``model.safetensors`` says of itself. See docs/weights.md."""
    return {
        **provenance(run.folder),
        "protocol": run.trainer.protocol,
        "model": run.recipe.component("model"),
        "config": run.recipe.settings("model"),
        "recipe": {"name": run.name, **run.recipe.values},
        "step": run.step,
        "seed": run.settings.seed,
        "metrics": finite_metrics(run.test_metrics),
        "versions": versions(),
    }


def finite_metrics(metrics: Mapping[str, float]) -> dict[str, float]:
    """``figures`` without those that are no numbers: JSON has none for them, and with them nothing compares."""
    return {name: value for name, value in metrics.items() if math.isfinite(value)}


def provenance(folder: RunFolder) -> dict[str, Any]:
    """Of a run's ``environment.json``, what its weights should say of where they come from."""
    environment = folder.read_environment()
    return {
        "dataset": environment["data"]["fingerprint"],
        "plugins": environment["plugins"],
        "git": environment["git"],
    }
