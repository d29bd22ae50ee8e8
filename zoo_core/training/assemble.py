"""All that a run needs, made from its recipe and put together."""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pluggy
import torch

from zoo_core.checkpoint.state import Held
from zoo_core.config.recipe import Recipe, RunSettings
from zoo_core.data.loader import Batches, in_order
from zoo_core.data.seeding import seed_step
from zoo_core.dataset import Dataset
from zoo_core.engine.engine import AccelerateEngine
from zoo_core.engine.fsdp import is_divided
from zoo_core.errors import BadSetting
from zoo_core.model import Model
from zoo_core.registry.catalog import Catalog
from zoo_core.registry.resolve import resolve
from zoo_core.runs.folder import RunFolder
from zoo_core.runs.run import Run
from zoo_core.trainer import Trainer
from zoo_core.training.callbacks import Relay
from zoo_core.training.loop import Loop


def assemble(
    recipe: Recipe,
    resolved: dict[str, tuple[type[Any], Any]],
    settings: RunSettings,
    engine: AccelerateEngine,
    place: RunFolder,
    hooks: Relay,
    trained: Model | None = None,
) -> tuple[Loop, list[str], dict[str, Any]]:
    """All that a run needs, and what its data set warned of and is. It begins with the model ``trained``, if given."""
    (model_class, model_config), (dataset_class, dataset_config), (trainer_class, trainer_config) = resolved.values()
    dataset: Dataset = dataset_class(dataset_config)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", UserWarning)
        train, evaluation, validation = dataset.train(), dataset.evaluation(), dataset.validation()
        for method, examples in (("train", train), ("evaluation", evaluation), ("validation", validation)):
            _check(examples, f"the data set '{recipe.component('dataset')}': its {method}()")
        fingerprint = dataset.fingerprint()
    seed_step(settings.seed, 0, 0, "build")
    model: Model = trained if trained is not None else model_class(model_config)
    trainer: Trainer = trainer_class(trainer_config)
    if settings.accumulate > 1 and not trainer.accumulates:
        raise BadSetting(
            f"run.accumulate is {settings.accumulate}, but the trainer '{recipe.component('trainer')}' does not say "
            "that it can be given a batch in parts.",
            "Leave it out, or let the trainer heed engine.updating and set `accumulates = True`.",
        )
    if settings.sync_batch_norm:
        torch.nn.SyncBatchNorm.convert_sync_batchnorm(model)  # type: ignore[no-untyped-call]
    batches = Batches(
        train,
        lambda generator: trainer.order(train, generator),
        settings.batch_size,
        settings.seed,
        rank=engine.rank,
        world=engine.world,
        workers=settings.workers,
        parts=settings.accumulate,
    )
    engine.total_steps = (
        settings.steps if settings.steps is not None else round((settings.epochs or 0) * batches.per_epoch)
    )
    model.to(engine.device)
    trainer.setup(model, engine)
    if engine.sharded:
        _refuse_whole_copies(model, trainer, recipe)
    held = Held(model, trainer, engine.unwrap)
    # The processes of a divided network compute in step, and shares may be unequal; none should be empty.
    fewest = min(len(evaluation), len(validation))
    shares_evaluation = trainer.shares_evaluation and not engine.sharded and fewest >= engine.world
    each = settings.batch_size // engine.world
    share = {"rank": engine.rank, "world": engine.world} if shares_evaluation else {}
    run = Run(recipe, settings, place, model, trainer, engine.device, engine.total_steps, batches.per_epoch)
    loop = Loop(
        run,
        engine,
        batches,
        held,
        hooks,
        lambda: in_order(evaluation, each, settings.workers, **share),
        lambda: in_order(validation, each, settings.workers, **share),
        lambda: in_order(train, each, settings.workers),
        lambda: in_order(validation, settings.batch_size, settings.workers),
        shares_evaluation,
    )
    data = {
        "fingerprint": fingerprint,
        "training_examples": len(train),
        "evaluation_examples": len(evaluation),
    }
    said = dict.fromkeys(str(one.message) for one in caught if one.category is UserWarning)
    return loop, list(said), data


def _check(examples: Any, whose: str) -> None:
    """Raises BadSetting for what has no length."""
    if not (hasattr(examples, "__len__") and hasattr(examples, "__getitem__")):
        raise BadSetting(
            f"{whose} gives a {type(examples).__name__}, but should give examples that have a length and numbers.",
            "zoo.InMemory and zoo.OnTheFly are such, and any data set of PyTorch's that is no iterable one.",
        )


def try_out(recipe: Recipe, catalog: Catalog, folder: Path | None = None, observers: Iterable[object] = ()) -> Loop:
    """The loop of ``recipe`` with everything built, to be stepped by hand: a run without its folder and reports.

    Checkpoints go into ``folder``, which is made; without one, ``Loop.train`` should not be called.
    """
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
    return apart(recipe, catalog, folder or Path(), observers)[0]


def apart(
    recipe: Recipe, catalog: Catalog, folder: Path, observers: Iterable[object], model: Model | None = None
) -> tuple[Loop, list[str], dict[str, Any]]:
    """As :func:`assemble`, from the beginning, and without the plugins' hooks: this is no run."""
    settings = recipe.run_settings()
    resolved = resolve(recipe, catalog)
    engine = AccelerateEngine(settings)
    hooks = Relay(pluggy.PluginManager("zoo"), observers if engine.is_main else ())
    return assemble(recipe, resolved, settings, engine, RunFolder(folder), hooks, model)


def _refuse_whole_copies(model: Model, trainer: Trainer, recipe: Recipe) -> None:
    """An average of weights that was copied before they were divided could not follow them."""
    inside = {id(module) for module in model.modules()}
    for name, value in vars(trainer).items():
        outside = isinstance(value, torch.nn.Module) and id(value) not in inside
        if outside and not all(map(is_divided, value.parameters())):
            raise BadSetting(
                f"run.sharded divides the model among the processes, but the trainer "
                f"'{recipe.component('trainer')}' holds self.{name}, a whole copy or another network.",
                "Leave run.sharded out, or the copy: of averaged weights, `trainer.averaging=0`.",
            )
