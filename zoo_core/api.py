"""The functions of ``import zoo_core as zoo``. They take the same names and settings as the command line."""

from __future__ import annotations

import builtins
import fnmatch
from collections.abc import Iterable, Mapping
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, overload

from zoo_core.config.recipe import Recipe
from zoo_core.engine.openmp import limit_spin_wait
from zoo_core.registry.catalog import Catalog, current

if TYPE_CHECKING:
    import torch

    from zoo_core.dataset import Dataset
    from zoo_core.model import Model
    from zoo_core.registry.info_types import Info
    from zoo_core.runs.run import Run
    from zoo_core.trainer import Trainer
    from zoo_core.weights.matching import IncompatibleKeys

RegistryFiles = str | PathLike[str] | Iterable[str | PathLike[str]]


def list(
    kind: str = "recipes", match: str = "*", tag: str | None = None, *, registry: RegistryFiles = ()
) -> builtins.list[str]:
    """List names of one kind.

    Imports no torch.

    Parameters
    ----------
    kind : str, default "recipes"
        What to list: ``"recipes"``, ``"models"``, ``"trainers"``, ``"datasets"``, ``"loggers"``, ``"optimizers"``,
        ``"schedules"``, ``"weights"`` or ``"plugins"``.
    match : str, default "*"
        A pattern with ``*``, ``?`` and ``[]`` that the names must match.
    tag : str, optional
        Only names with this tag. Plugins have no tags.
    registry : iterable of str or os.PathLike, default ()
        Further registry files, as ``--registry`` gives them.

    Returns
    -------
    list of str
        The names, sorted.

    Raises
    ------
    UnknownName
        If there is no such kind.

    Examples
    --------
    >>> zoo.list("models", tag="gan")
    ['clsgan']
    """
    here = _catalog(registry)
    if kind == "plugins":
        names = [plugin.name for plugin in here.plugins.infos]
    else:
        names = [row["name"] for row in here.rows(kind, tag, members=True)]
    return [name for name in names if fnmatch.fnmatch(name, match)]


def info(name: str, *, registry: RegistryFiles = ()) -> Info:
    """Describe a name, as ``zoo info NAME`` does.

    Parameters
    ----------
    name : str
        A recipe, weights, a model, a trainer, a dataset or a logger.
    registry : iterable of str or os.PathLike, default ()
        Further registry files.

    Returns
    -------
    Info
        One entry for each kind that has the name: ``{"recipe": {...}, "model": {...}}``.

    Raises
    ------
    UnknownName
        If nothing has this name.
    """
    return _catalog(registry).info(name)


def recipe(name: str, *overrides: str, registry: RegistryFiles = ()) -> Recipe:
    """Look up a recipe and override some of its settings.

    Parameters
    ----------
    name : str
        The recipe's name, or ``plugin/name``.
    *overrides : str
        Settings as ``key=value``, such as ``"run.steps=100"``.
    registry : iterable of str or os.PathLike, default ()
        Further registry files.

    Returns
    -------
    Recipe
        The merged recipe.

    Raises
    ------
    UnknownName
        If there is no such recipe.
    BadSetting
        If an override is not ``key=value`` or its key is not a setting.
    """
    return _catalog(registry).recipe(name, *overrides)


def run(
    name: str | Recipe,
    *overrides: str,
    callbacks: Iterable[object] = (),
    folder: str | PathLike[str] | None = None,
    resume: bool = False,
    allow_changed_data: bool = False,
    allow_changed_code: bool = False,
    registry: RegistryFiles = (),
) -> Run:
    """Train a recipe.

    SIGINT, SIGTERM and SIGHUP (unless it is ignored) end the run after the current step. It is saved, and this
    function returns; ``Run.stopping`` then says why. A second signal raises ``KeyboardInterrupt``.

    Parameters
    ----------
    name : str or Recipe
        The recipe, or its name.
    *overrides : str
        Settings as ``key=value``.
    callbacks : iterable of object, optional
        Objects with life-cycle hooks: methods marked ``@zoo.hookimpl``.
    folder : str or os.PathLike, optional
        Where the run is written. Default: ``runs/RECIPE/TIME``.
    resume : bool, default False
        Resume the run in ``folder`` from its last checkpoint. Its settings must be the same.
    allow_changed_data : bool, default False
        Resume although the fingerprint of the dataset has changed. The change is recorded in ``environment.json`` and
        in the weights.
    allow_changed_code : bool, default False
        Resume although the code of a plugin that the run uses has changed: its version or, for a plugin file or an
        editable install, its files. The change is recorded likewise.
    registry : iterable of str or os.PathLike, default ()
        Further registry files. Names that the run looks up, such as weights, are found in them, too.

    Returns
    -------
    Run
        The finished run.

    Raises
    ------
    ZooError
        If the recipe asks for something that does not exist. Nothing is written then.
    RunFailed
        If the training fails. Its last checkpoint is on disk.

    Examples
    --------
    >>> run = zoo.run("clsgan-mnist", "run.steps=100")  # doctest: +SKIP
    >>> run.test_metrics["accuracy"]  # doctest: +SKIP
    0.53
    """
    limit_spin_wait()
    from zoo_core.loggers import loggers_of
    from zoo_core.registry.resolve import resolve
    from zoo_core.training.runner import run_recipe

    here = _catalog(registry)
    chosen = name.with_overrides(overrides) if isinstance(name, Recipe) else here.recipe(name, *overrides)
    resolved = resolve(chosen, here)
    return run_recipe(
        resolved,
        [*loggers_of(resolved), *callbacks],
        Path(folder) if folder else None,
        resume,
        allow_changed_data=allow_changed_data,
        allow_changed_code=allow_changed_code,
    )


@overload
def build(
    name: str,
    settings: Mapping[str, Any] | None = ...,
    *,
    kind: Literal["model"] = ...,
    registry: RegistryFiles = ...,
) -> Model: ...


@overload
def build(
    name: str, settings: Mapping[str, Any] | None = ..., *, kind: Literal["trainer"], registry: RegistryFiles = ...
) -> Trainer: ...


@overload
def build(
    name: str, settings: Mapping[str, Any] | None = ..., *, kind: Literal["dataset"], registry: RegistryFiles = ...
) -> Dataset: ...


def build(
    name: str,
    settings: Mapping[str, Any] | None = None,
    *,
    kind: Literal["model", "trainer", "dataset"] = "model",
    registry: RegistryFiles = (),
) -> Any:
    """Build an untrained model, a trainer or a dataset.

    Parameters
    ----------
    name : str
        The registered name, or ``plugin/name``.
    settings : mapping, optional
        Settings by name; those left out keep their defaults.
    kind : {"model", "trainer", "dataset"}, default "model"
        What to build.
    registry : iterable of str or os.PathLike, default ()
        Further registry files.

    Returns
    -------
    Model, Trainer or Dataset
        What was asked for.

    Raises
    ------
    UnknownName
        If no installed plugin registered the name, or there is no such kind.
    BadSetting
        If a setting does not exist or is out of range.

    Examples
    --------
    >>> zoo.build("clsgan", {"latent_dim": 64})
    CLSGAN(latent_dim=64): 2,124,433 parameters on cpu, float32
    """
    from zoo_core.config.recipe_files import PARTS
    from zoo_core.errors import UnknownName
    from zoo_core.registry.resolve import build as build_component

    if kind not in PARTS:
        raise UnknownName(
            f"kind is {kind!r}, but should be one of {', '.join(PARTS)}.", "Write for example kind='dataset'."
        )
    return build_component(kind, name, {} if settings is None else settings, _catalog(registry))


@overload
def load(
    source: str | PathLike[str],
    settings: Mapping[str, Any] | None = ...,
    *,
    device: str | torch.device = ...,
    dtype: str | torch.dtype | None = ...,
    strict: Literal[True] = ...,
    registry: RegistryFiles = ...,
) -> Model: ...


@overload
def load(
    source: str | PathLike[str],
    settings: Mapping[str, Any] | None = ...,
    *,
    device: str | torch.device = ...,
    dtype: str | torch.dtype | None = ...,
    strict: Literal[False],
    registry: RegistryFiles = ...,
) -> tuple[Model, IncompatibleKeys]: ...


def load(
    source: str | PathLike[str],
    settings: Mapping[str, Any] | None = None,
    *,
    device: str | torch.device = "cpu",
    dtype: str | torch.dtype | None = None,
    strict: bool = True,
    registry: RegistryFiles = (),
) -> Model | tuple[Model, IncompatibleKeys]:
    """Load a model with its weights, in eval mode.

    Reads safetensors only, and builds only models that an installed plugin registered. A published file is downloaded
    if it is not on this machine. Its SHA-256 is compared at every load.

    Parameters
    ----------
    source : str or os.PathLike
        The name of published weights, the folder of a run, or a weights file.
    settings : mapping, optional
        Settings that override those the model was built with, such as ``{"num_classes": 26}``.
    device : str or torch.device, default "cpu"
        Where the model is put; ``"auto"`` is an accelerator if there is one.
    dtype : str or torch.dtype, optional
        A floating-point type that the model is converted to. Default: the types it computes in.
    strict : bool, default True
        Refuse a file whose tensors do not fit the model. Otherwise such tensors keep their initial values.
    registry : iterable of str or os.PathLike, default ()
        Further registry files.

    Returns
    -------
    Model
        The model, if ``strict``.
    (Model, IncompatibleKeys)
        Otherwise the model, and the tensors that did not fit: ``missing``, ``unexpected`` and ``mismatched``.

    Raises
    ------
    UnknownName
        If ``source`` is none of the three.
    BadFile
        If the file is damaged, is not the one that was published, or does not fit the model.
    BadSetting
        If a setting is not one of the model's, or ``device`` or ``dtype`` is not available.

    Examples
    --------
    >>> model = zoo.load("clsgan-mnist", device="cuda", dtype="bfloat16")  # doctest: +SKIP
    >>> model, keys = zoo.load("digit-classifier-mnist", {"num_classes": 26}, strict=False)
    >>> keys.mismatched
    {'head.weight': ((10, 64), (26, 64)), 'head.bias': ((10,), (26,))}
    """
    from zoo_core.weights.load import load as load_weights

    found = source if isinstance(source, str) else Path(source)
    model, incompatible = load_weights(found, _catalog(registry), device, dtype, strict, settings)
    return model if strict else (model, incompatible)


def _catalog(registry: RegistryFiles) -> Catalog:
    """The current catalog, or one with further registry files."""
    paths = [Path(path) for path in ([registry] if isinstance(registry, (str, PathLike)) else registry)]
    return Catalog(paths) if paths else current()
