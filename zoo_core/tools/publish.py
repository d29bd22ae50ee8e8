"""Publish the weights of a finished run: a weights file, a model card, and an entry for a registry file."""

from __future__ import annotations

import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from zoo_core.config.command_line import resume_command
from zoo_core.config.recipe import Recipe
from zoo_core.config.recipe_files import WEIGHTS_NAME, Source, check_name
from zoo_core.config.yaml_reader import as_text
from zoo_core.errors import BadFile, BadSetting
from zoo_core.model import Model
from zoo_core.registry.catalog import Catalog
from zoo_core.registry.resolve import resolve
from zoo_core.runs.folder import RunFolder
from zoo_core.runs.sessions import read_sessions
from zoo_core.tools.evaluate import recipe_of
from zoo_core.training.standalone_evaluation import evaluate
from zoo_core.weights.card import card
from zoo_core.weights.format import check_ending, read_tensors, write
from zoo_core.weights.hashing import check
from zoo_core.weights.header import Header, read_header
from zoo_core.weights.load import load
from zoo_core.weights.matching import parameter_names
from zoo_core.weights.metadata import finite_metrics, provenance
from zoo_core.weights.values import count_not_finite

_LICENSE = re.compile(r"[A-Za-z0-9][A-Za-z0-9.+-]*( (AND|OR|WITH) [A-Za-z0-9][A-Za-z0-9.+-]*)*")
DTYPES = {"float32": torch.float32, "float16": torch.float16, "bfloat16": torch.bfloat16}


@dataclass(frozen=True)
class Published:
    """The files that were written, with a preview image if the run has one, and the entry for a registry file."""

    weights: Path
    card: Path
    preview: Path | None
    entry: dict[str, Any]

    def as_yaml(self, name: str) -> str:
        """The section ``weights`` of a registry file with this entry."""
        return as_text({"weights": {name: self.entry}})


def name_of(run: Path) -> str:
    """The name of the recipe of a finished run, the default name of its published weights."""
    return recipe_of(read_header(RunFolder(run).weights)).name


def publish(
    run: Path,
    license: str,
    output: Path,
    catalog: Catalog,
    *,
    name: str | None = None,
    dtype: str | None = None,
    summary: str = "",
    location: str | None = None,
) -> Published:
    """Write the weights of the finished run in the folder ``run`` to ``output``, with a model card and a preview image.

    With ``dtype`` the floating-point tensors are stored in it, and the metrics are measured again with the converted
    weights.

    Raises:
        BadFile: if the run has no result, or one that can't be published; nothing is written then.
        BadSetting: if ``license`` or ``dtype`` is not valid.
    """
    if not _LICENSE.fullmatch(license):
        raise BadSetting(
            f"'{license}' is not a valid license.", "Write an SPDX identifier, such as Apache-2.0 or CC-BY-4.0."
        )
    if dtype is not None and dtype not in DTYPES:
        raise BadSetting(f"dtype is '{dtype}', but should be one of {', '.join(DTYPES)}.")
    folder = RunFolder(run)
    header = read_header(folder.weights)
    recipe = recipe_of(header)
    _refuse_unfinished(folder, header, recipe)
    name = name or recipe.name
    check_name(name, Source(None), WEIGHTS_NAME)
    check_ending(output)
    files = [output, output.with_suffix(".md"), output.with_suffix(".png")]
    for file in files:
        if file.exists():
            raise BadFile(f"{file} already exists, and is not overwritten.", "Choose another -o FILE.")
    model, _ = load(folder.weights, catalog)  # refuses what could not be loaded
    tensors = _convert_tensors(read_tensors(folder.weights), DTYPES.get(dtype or ""))
    trainer: Any = catalog.find("trainer", recipe.component("trainer")).load()
    metadata = {
        **provenance(folder),
        "protocol": trainer.protocol,
        **_without_folders(header.metadata),
        "license": license,
        "metrics": _metrics(header, model, tensors, dtype, catalog),
    }
    output.parent.mkdir(parents=True, exist_ok=True)
    write(output, tensors, metadata, parameter_names(model))
    preview = _newest_preview(folder)
    if preview is not None:
        shutil.copyfile(preview, files[2])
    files[1].write_text(card(name, read_header(output), summary, files[2] if preview else None), encoding="utf-8")
    checked = check(output)
    entry = {
        **({"summary": summary} if summary else {}),
        "model": str(metadata["model"]),
        "recipe": recipe.name,
        "location": location or output.name,
        "sha256": checked.sha256,
        "size": checked.size,
        "license": license,
        "metrics": {key: float(f"{value:.4g}") for key, value in metadata["metrics"].items() if "/" not in key},
    }
    return Published(output, files[1], files[2] if preview else None, entry)


def _without_folders(metadata: Mapping[str, Any]) -> dict[str, Any]:
    """``metadata`` whose recipe names the weights that the run started from without the folders of this machine."""
    start = metadata.get("init_from", {})
    if start.get("kind", "weights") == "weights":
        return dict(metadata)
    recipe = metadata["recipe"]
    return {**metadata, "recipe": {**recipe, "run": {**recipe["run"], "init_from": start["name"]}}}


def _refuse_unfinished(folder: RunFolder, header: Header, recipe: Recipe) -> None:
    """Refuse a run that was stopped: it has weights, but its schedules are incomplete and it was not evaluated."""
    done, sessions = header.metadata.get("step", 0), read_sessions(folder.sessions)
    steps = sessions[-1].steps if sessions else recipe.run_settings().steps
    if steps is None:  # the recipe sets epochs, and only sessions.json has the number of steps
        raise BadFile(f"{folder.sessions} is missing, so the number of steps of the run is unknown.")
    if done < steps:
        raise BadFile(
            f"{folder.path} was stopped after {done:,} of {steps:,} steps.",
            f"Resume it: {resume_command(folder.path)}",
        )


def _convert_tensors(tensors: Mapping[str, Tensor], dtype: torch.dtype | None) -> dict[str, Tensor]:
    """The tensors in ``dtype``; those with values too large for it, such as variances in float16, keep their own."""
    converted = dict(tensors)
    for name, tensor in tensors.items() if dtype is not None else ():
        if tensor.is_floating_point():
            smaller = tensor.to(dtype)
            if count_not_finite(smaller) == count_not_finite(tensor):
                converted[name] = smaller
    return converted


def _metrics(
    header: Header, model: Model, tensors: dict[str, Tensor], dtype: str | None, catalog: Catalog
) -> dict[str, float]:
    """The metrics of the run; measured again if the weights are stored in another precision."""
    original = read_tensors(header.path)
    if dtype is None or all(tensors[name].dtype == original[name].dtype for name in tensors):
        return dict(header.metadata.get("metrics", {}))
    model.load_state_dict({name: tensor.to(original[name].dtype) for name, tensor in tensors.items()})
    measured = evaluate(resolve(recipe_of(header), catalog), model, int(header.metadata.get("step", 0)))
    return finite_metrics(measured.metrics)


def _newest_preview(folder: RunFolder) -> Path | None:
    return max(folder.previews.glob("*.png"), default=None)
