"""The metadata that a run writes into the header of its weights file."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from torch import Tensor
from torch.nn.parameter import is_lazy

from zoo_core.model import Model
from zoo_core.runs.environment import versions
from zoo_core.runs.folder import RunFolder
from zoo_core.runs.run import Run


def weights_metadata(run: Run) -> dict[str, Any]:
    """The metadata of a run's ``model.safetensors``, as described in docs/weights.md."""
    return {
        **provenance(run.folder),
        "protocol": run.trainer.protocol,
        "model": run.recipe.component("model"),
        "config": run.recipe.settings("model"),
        **sizes(run.model),
        "recipe": {"name": run.name, **run.recipe.values},
        "step": run.step,
        **({"weights_step": run.weights_step} if run.weights_step != run.step else {}),
        "seed": run.settings.seed,
        "metrics": finite_metrics(run.test_metrics),
        "versions": versions(),
    }


def sizes(model: Model) -> dict[str, int]:
    """The numbers of parameters, of those that are trained, and of the elements of its buffers that are saved.

    The tensors of a file do not tell parameters from buffers, and contain tied parameters several times.
    """
    parameters = {id(parameter) for parameter in model.parameters()}
    saved = {id(one): one for one in model.state_dict(keep_vars=True).values() if isinstance(one, Tensor)}
    return {
        "parameters": model.count_parameters(),
        "trainable_parameters": model.count_parameters(trainable=True),
        "buffers": sum(one.numel() for key, one in saved.items() if key not in parameters and not is_lazy(one)),
    }


def finite_metrics(metrics: Mapping[str, float]) -> dict[str, float]:
    """``metrics`` without NaN and infinite values, which JSON cannot represent."""
    return {name: value for name, value in metrics.items() if math.isfinite(value)}


def provenance(folder: RunFolder) -> dict[str, Any]:
    """Dataset fingerprint, plugins, commit, changes and first weights of a run, from its ``environment.json``."""
    environment = folder.read_environment()
    data = environment["data"]  # empty if the recipe has no dataset
    return {
        **({"dataset": data["fingerprint"]} if data else {}),
        "plugins": environment["plugins"],
        "git": environment["git"],
        **{key: environment[key] for key in ("changed", "init_from") if key in environment},
    }
