"""The functions of ``import zoo_core as zoo``. They take the same words in the same order as the command line."""

from __future__ import annotations

import builtins
import fnmatch
from collections.abc import Iterable
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, overload

from zoo_core.config.recipe import Recipe
from zoo_core.engine.openmp import limit_spin_wait
from zoo_core.registry import catalog

if TYPE_CHECKING:
    import torch

    from zoo_core.model import Model
    from zoo_core.runs.run import Run
    from zoo_core.weights.matching import IncompatibleKeys


def list(kind: str = "recipes", match: str = "*", tag: str | None = None) -> builtins.list[str]:
    """Names of a kind: ``recipes``, ``models``, ``trainers``, ``datasets``, ``weights`` or ``plugins``, which have no
    tags. Imports no torch."""
    here = catalog.default()
    if kind == "plugins":
        names = [plugin.name for plugin in here.plugins.infos]
    else:
        names = [row["name"] for row in here.rows(kind, tag)]
    return [name for name in names if fnmatch.fnmatch(name, match)]


def info(name: str) -> dict[str, Any]:
    """What ``zoo info NAME`` shows, by kind: ``{"recipe": {…}, "model": {…}, "trainer": {…}}``."""
    return catalog.default().info(name)


def recipe(name: str, *overrides: str) -> Recipe:
    """The recipe called ``name``, with ``key=value`` words laid over it."""
    return catalog.default().recipe(name, *overrides)


def run(
    name: str | Recipe,
    *overrides: str,
    callbacks: Iterable[object] = (),
    folder: str | PathLike[str] | None = None,
    resume: bool = False,
) -> Run:
    """Train a recipe and give back the finished run: ``zoo.run("clsgan-mnist", "run.steps=100")``.

    ``callbacks`` are objects with life-cycle hooks (methods marked ``@zoo.hookimpl``). With ``resume`` the run in
    ``folder`` goes on, if its settings are the same. SIGINT and SIGTERM end the run after the step that is under way,
    saved, and this function returns: ``run.stopping`` says why, or is "".

    Raises:
        ZooError: if the recipe asks for what is not there; nothing is written then.
        RunFailed: if the training fails; what it had is on disk.
    """
    limit_spin_wait()
    from zoo_core.loggers import standard
    from zoo_core.registry.resolve import complete
    from zoo_core.training.runner import run_recipe

    here = catalog.default()
    chosen = name.with_overrides(overrides) if isinstance(name, Recipe) else here.recipe(name, *overrides)
    return run_recipe(complete(chosen, here), here, [*standard(), *callbacks], Path(folder) if folder else None, resume)


def build(name: str, kind: str = "model", **settings: Any) -> Any:
    """An untrained model with its default settings, or with others.

        model = zoo.build("clsgan", latent_dim=96)

    With ``kind`` it is a ``"dataset"`` or a ``"trainer"``.

    Raises:
        UnknownName: if no installed plugin registered the name.
        BadSetting: if a setting is none of its own, or out of range.
    """
    from zoo_core.errors import UnknownName
    from zoo_core.registry.registry import KINDS
    from zoo_core.registry.resolve import build as build_component

    if kind not in KINDS:
        raise UnknownName(f"zoo builds no '{kind}'.", f"Choose from {', '.join(KINDS)}.")
    return build_component(kind, name, settings, catalog.default())


@overload
def load(
    source: str | PathLike[str],
    *,
    device: str | torch.device = ...,
    dtype: str | torch.dtype | None = ...,
    strict: Literal[True] = ...,
    **settings: Any,
) -> Model: ...


@overload
def load(
    source: str | PathLike[str],
    *,
    device: str | torch.device = ...,
    dtype: str | torch.dtype | None = ...,
    strict: Literal[False],
    **settings: Any,
) -> tuple[Model, IncompatibleKeys]: ...


def load(
    source: str | PathLike[str],
    *,
    device: str | torch.device = "cpu",
    dtype: str | torch.dtype | None = None,
    strict: bool = True,
    **settings: Any,
) -> Model | tuple[Model, IncompatibleKeys]:
    """A model with its weights, in eval mode: from a published name, a run's folder, or a file.

        model = zoo.load("clsgan-mnist", device="cuda", dtype="bfloat16")
        model, left_out = zoo.load("digit-classifier-mnist", strict=False, num_classes=26)

    ``settings`` are laid over those the model was built with. Where tensors no longer fit, that is refused, unless
    ``strict=False``: then they keep their initial values, and what was left out is given back with the model.

    Reads safetensors only, and builds only models that an installed plugin registered. A published file is fetched if
    it is not on this machine, and its SHA-256 compared at every load.

    Raises:
        UnknownName: if ``source`` is none of these.
        BadFile: if the file is damaged, not the one that was published, or does not fit the model.
        BadSetting: if ``settings`` are not the model's, or ``device`` or ``dtype`` are not to be had.
    """
    from zoo_core.weights.load import load as load_weights

    found = source if isinstance(source, str) else Path(source)
    model, left_out = load_weights(found, catalog.default(), device, dtype, strict, settings)
    return model if strict else (model, left_out)
