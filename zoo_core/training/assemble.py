"""All that a run needs, made from its recipe and put together."""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pluggy
import torch

from zoo_core.checkpoint.state import TrainerState
from zoo_core.config.recipe import Recipe, RunSettings
from zoo_core.data.loader import Batches, in_order
from zoo_core.data.seeding import seed_step
from zoo_core.dataset import Dataset
from zoo_core.engine.engine import AccelerateEngine
from zoo_core.engine.fsdp import is_sharded
from zoo_core.errors import BadSetting
from zoo_core.model import Model
from zoo_core.registry.catalog import Catalog
from zoo_core.registry.resolve import resolve
from zoo_core.runs.folder import RunFolder
from zoo_core.runs.run import Run
from zoo_core.trainer import Trainer
from zoo_core.training.callbacks import CallbackList
from zoo_core.training.loop import Loop


def assemble(
    recipe: Recipe,
    resolved: dict[str, tuple[type[Any], Any]],
    settings: RunSettings,
    engine: AccelerateEngine,
    place: RunFolder,
    hooks: CallbackList,
    trained: Model | None = None,
) -> tuple[Loop, list[str], dict[str, Any]]:
    """All that a run needs, and what its data set warned of and is. It begins with the model ``trained``, if given."""
    (model_class, model_config), (dataset_class, dataset_config), (trainer_class, trainer_config) = resolved.values()
    dataset: Dataset = dataset_class(dataset_config)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", UserWarning)
        train, evaluation, validation = dataset.train(), dataset.test(), dataset.validation()
        for method, examples in (("train", train), ("evaluation", evaluation), ("validation", validation)):
            _check(examples, f"the data set '{recipe.component('dataset')}': its {method}()")
        fingerprint = dataset.fingerprint()
    seed_step(settings.seed, 0, 0, "build")
    model: Model = trained if trained is not None else model_class(model_config)
    trainer: Trainer = trainer_class(trainer_config)
    if settings.grad_accumulation_steps > 1 and not trainer.supports_grad_accumulation:
        raise BadSetting(
            f"run.grad_accumulation_steps is {settings.grad_accumulation_steps}, but the trainer "
            f"'{recipe.component('trainer')}' does not support gradient accumulation.",
            "Leave it out, or use engine.updating in the trainer's step and set `supports_grad_accumulation = True`.",
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
        parts=settings.grad_accumulation_steps,
    )
    engine.total_steps = (
        settings.steps if settings.steps is not None else round((settings.epochs or 0) * batches.per_epoch)
    )
    model.to(engine.device)
    trainer.setup(model, engine)
    if engine.fsdp:
        _refuse_whole_copies(model, trainer, recipe)
    state = TrainerState(model, trainer, engine.unwrap)
    # The processes of a divided network compute in step, and shares may be unequal; none should be empty.
    fewest = min(len(evaluation), len(validation))
    distributed_evaluation = trainer.distributed_evaluation and not engine.fsdp and fewest >= engine.world
    each = settings.batch_size // engine.world
    share = {"rank": engine.rank, "world": engine.world} if distributed_evaluation else {}
    run = Run(recipe, settings, place, model, trainer, engine.device, engine.total_steps, batches.per_epoch)
    loop = Loop(
        run,
        engine,
        batches,
        state,
        hooks,
        lambda: in_order(evaluation, each, settings.workers, **share),
        lambda: in_order(validation, each, settings.workers, **share),
        lambda: in_order(train, each, settings.workers),
        lambda: in_order(validation, settings.batch_size, settings.workers),
        distributed_evaluation,
    )
    data = {
        "fingerprint": fingerprint,
        "training_examples": len(train),
        "test_examples": len(evaluation),
    }
    said = dict.fromkeys(str(one.message) for one in caught if one.category is UserWarning)
    return loop, list(said), data


def _check(examples: Any, whose: str) -> None:
    """Raises BadSetting for what has no length."""
    if not (hasattr(examples, "__len__") and hasattr(examples, "__getitem__")):
        raise BadSetting(
            f"{whose} gives a {type(examples).__name__}, but should give examples that have a length and numbers.",
            "zoo.InMemory and zoo.GeneratedExamples are such, and any data set of PyTorch's that is no iterable one.",
        )


def try_out(recipe: Recipe, catalog: Catalog, folder: Path | None = None, callbacks: Iterable[object] = ()) -> Loop:
    """The loop of ``recipe`` with everything built, to be stepped by hand: a run without its folder and reports.

    Checkpoints go into ``folder``, which is made; without one, ``Loop.train`` should not be called.
    """
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
    return apart(recipe, catalog, folder or Path(), callbacks)[0]


def apart(
    recipe: Recipe, catalog: Catalog, folder: Path, callbacks: Iterable[object], model: Model | None = None
) -> tuple[Loop, list[str], dict[str, Any]]:
    """As :func:`assemble`, from the beginning, and without the plugins' hooks: this is no run."""
    settings = recipe.run_settings()
    resolved = resolve(recipe, catalog)
    engine = AccelerateEngine(settings)
    hooks = CallbackList(pluggy.PluginManager("zoo"), callbacks if engine.is_rank_zero else ())
    return assemble(recipe, resolved, settings, engine, RunFolder(folder), hooks, model)


def _refuse_whole_copies(model: Model, trainer: Trainer, recipe: Recipe) -> None:
    """An average of weights that was copied before they were divided could not follow them."""
    inside = {id(module) for module in model.modules()}
    for name, value in vars(trainer).items():
        outside = isinstance(value, torch.nn.Module) and id(value) not in inside
        if outside and not all(map(is_sharded, value.parameters())):
            raise BadSetting(
                f"run.fsdp divides the model among the processes, but the trainer "
                f"'{recipe.component('trainer')}' holds self.{name}, a whole copy or another network.",
                "Leave run.fsdp out, or the copy: of averaged weights, `trainer.ema_decay=0`.",
            )
