"""All that a run needs, built from a resolved recipe and put together."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pluggy
import torch

from zoo_core.checkpoint.state import TrainerState
from zoo_core.config.recipe import WITHOUT_EVALUATIONS
from zoo_core.config.run_settings import RunSettings
from zoo_core.data.loader import Batches
from zoo_core.data.no_data import EmptyBatches, NoExamples
from zoo_core.data.resident import copies_for
from zoo_core.data.seeding import seed_step
from zoo_core.data.started_processes import ended_at_exit
from zoo_core.dataset import Dataset, Examples
from zoo_core.engine.engine import AccelerateEngine
from zoo_core.engine.fsdp import is_sharded
from zoo_core.engine.held import held
from zoo_core.errors import BadSetting, describe_type
from zoo_core.model import Model
from zoo_core.registry.resolve import Loaded, ResolvedRecipe
from zoo_core.runs.folder import RunFolder
from zoo_core.runs.run import Run
from zoo_core.trainer import Trainer
from zoo_core.training.callbacks import CallbackList
from zoo_core.training.error_attribution import method_of
from zoo_core.training.freeze import Frozen
from zoo_core.training.init_from import StartWeights, load_start_weights, unchanged_by_setup
from zoo_core.training.loop import Loop
from zoo_core.training.opened import OpenedRecipe, caught_warnings, open_dataset
from zoo_core.training.splits import Splits
from zoo_core.training.weight_average import note_without_updates


@dataclass(frozen=True)
class RunData:
    """The examples of a run, and what its dataset says of them."""

    train: Examples
    validation: Examples
    test: Examples
    fingerprint: str
    """Empty if the recipe has no dataset."""
    warnings: list[str]

    def summary(self) -> dict[str, Any]:
        """What ``environment.json`` keeps of the data: nothing if there are none."""
        if not self.fingerprint:
            return {}
        return {
            "fingerprint": self.fingerprint,
            "training_examples": len(self.train),
            "test_examples": len(self.test),
        }


@dataclass(frozen=True)
class RunComponents:
    """The model and its trainer, ready for the first step, and the batches to train on."""

    model: Model
    trainer: Trainer
    batches: Batches | EmptyBatches
    frozen: Frozen
    start: StartWeights | None
    """The weights of ``run.init_from``, if they were loaded."""


@dataclass(frozen=True)
class Assembly:
    """A loop that is ready to run, and the data that it was built on."""

    loop: Loop
    data: RunData
    start: StartWeights | None = None
    """The weights of ``run.init_from``, if they were loaded."""


def assemble(
    opened: OpenedRecipe,
    engine: AccelerateEngine,
    folder: RunFolder,
    callbacks: CallbackList,
    trained: Model | None = None,
    starts: bool = True,
) -> Assembly:
    """Build all that a run needs. It begins with the model ``trained``, if given.

    A run that is restored from a checkpoint does not load the weights of ``run.init_from``: ``starts`` is False.
    """
    resolved = opened.resolved
    loaded = resolved.load()
    data = build_data(opened)
    if trained is None and opened.dataset is not None:
        data.warnings.extend(_missing_examples(data, resolved))
    components = build_components(resolved, loaded, data, engine, trained, starts)
    if components.start is not None and components.start.note:
        data.warnings.append(components.start.note)
    if note := note_without_updates(resolved.settings, engine.total_steps):
        data.warnings.append(note)
    data.warnings.extend(dict.fromkeys(engine.notes))
    return Assembly(build_loop(resolved, data, components, engine, folder, callbacks), data, components.start)


def assemble_detached(
    resolved: ResolvedRecipe, folder: Path, callbacks: Iterable[object] = (), trained: Model | None = None
) -> Assembly:
    """As :func:`assemble`, outside a run: without the hooks of plugins, and with nothing written into ``folder``."""
    engine = AccelerateEngine(resolved.settings)
    own = CallbackList(pluggy.PluginManager("zoo"), callbacks if engine.is_rank_zero else ())
    return assemble(open_dataset(resolved), engine, RunFolder(folder), own, trained)


def try_out(resolved: ResolvedRecipe, folder: Path | None = None, callbacks: Iterable[object] = ()) -> Loop:
    """The loop of a recipe, built to be stepped by hand: a run without its folder and reports.

    Checkpoints go into ``folder``, which is created; without one, ``Loop.train`` should not be called.
    """
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
    return assemble_detached(resolved, folder or Path(), callbacks).loop


def build_data(opened: OpenedRecipe) -> RunData:
    """The splits of the recipe's dataset, with the warnings that it raised; empty ones if it has no dataset."""
    resolved, dataset = opened.resolved, opened.dataset
    if dataset is None:
        return RunData(NoExamples(), NoExamples(), NoExamples(), "", list(opened.warnings))
    seed_step(resolved.settings.seed, 0, 0, "data")  # the same in every process, for a random split for example
    with caught_warnings() as messages, ended_at_exit():
        splits = {"train": dataset.train(), "test": dataset.test(), "validation": dataset.validation()}
        for method, examples in splits.items():
            _check_examples(examples, method_of("dataset", resolved.recipe.component("dataset"), dataset, method))
        fingerprint = fingerprint_of(dataset)
    messages = list(dict.fromkeys([*opened.warnings, *messages]))
    return RunData(splits["train"], splits["validation"], splits["test"], fingerprint, messages)


def fingerprint_of(dataset: Dataset) -> str:
    """The dataset's fingerprint, which is the same for every seed even if examples are augmented at random."""
    seed_step(0, 0, 0, "fingerprint")
    return dataset.fingerprint()


def build_components(
    resolved: ResolvedRecipe,
    loaded: Mapping[str, Loaded],
    data: RunData,
    engine: AccelerateEngine,
    trained: Model | None = None,
    starts: bool = True,
) -> RunComponents:
    """The model on its device, the trainer set up for it, and the batches in the trainer's order."""
    settings = resolved.settings
    seed_step(settings.seed, 0, 0, "build")
    model: Model = trained if trained is not None else loaded["model"].build()
    trainer: Trainer = loaded["trainer"].build()
    if settings.grad_accumulation_steps > 1 and not trainer.supports_grad_accumulation:
        raise BadSetting(
            f"run.grad_accumulation_steps is {settings.grad_accumulation_steps}, but the trainer "
            f"'{resolved.recipe.component('trainer')}' does not support gradient accumulation.",
            "Leave it out, or use engine.updating in the trainer's step and set `supports_grad_accumulation = True`.",
        )
    start = load_start_weights(model, resolved) if trained is None and starts else None
    if settings.sync_batch_norm:
        torch.nn.SyncBatchNorm.convert_sync_batchnorm(model)  # type: ignore[no-untyped-call]
    batches = _batches(resolved, data, trainer, engine)
    engine.total_steps = (
        settings.steps if settings.steps is not None else round((settings.epochs or 0) * batches.per_epoch)
    )
    model.to(engine.device)
    frozen = Frozen(model, settings.freeze if trained is None else ())
    with unchanged_by_setup(start, model, engine, resolved):
        trainer.setup(model, engine)
    if engine.fsdp:
        _refuse_full_copies(model, trainer, resolved)
    return RunComponents(model, trainer, batches, frozen, start)


def build_loop(
    resolved: ResolvedRecipe,
    data: RunData,
    components: RunComponents,
    engine: AccelerateEngine,
    folder: RunFolder,
    callbacks: CallbackList,
) -> Loop:
    """The loop around the components."""
    settings, model, trainer = resolved.settings, components.model, components.trainer
    # The processes of a sharded network compute in step, but may have unequal numbers of batches; none may be empty.
    enough = min(len(data.test), len(data.validation)) >= engine.world
    splits = Splits(
        data.train,
        data.validation,
        data.test,
        _batch_size(settings, data, engine),
        settings.workers,
        engine.rank,
        engine.world,
        distributed=trainer.distributed_evaluation and not engine.fsdp and enough,
        seed=settings.seed,
        dataset=_dataset_of(resolved),
        copies=components.batches.copies,
    )
    per_epoch = components.batches.per_epoch
    run = Run(resolved.recipe, settings, folder, model, trainer, engine.device, engine.total_steps, per_epoch)
    state = TrainerState(model, trainer, engine.unwrap)
    return Loop(run, engine, components.batches, splits, state, callbacks, components.frozen)


def _batches(
    resolved: ResolvedRecipe, data: RunData, trainer: Trainer, engine: AccelerateEngine
) -> Batches | EmptyBatches:
    settings = resolved.settings
    if isinstance(data.train, NoExamples):
        return EmptyBatches()
    return Batches(
        data.train,
        lambda generator: trainer.order(data.train, generator),
        _batch_size(settings, data, engine),
        settings.seed,
        rank=engine.rank,
        world=engine.world,
        workers=settings.workers,
        parts=settings.grad_accumulation_steps,
        dataset=_dataset_of(resolved),
        copies=copies_for(engine.device),
        order_is_pure=type(trainer).order is Trainer.order,
    )


def _batch_size(settings: RunSettings, data: RunData, engine: AccelerateEngine) -> int:
    """That of the run; auto, which only a run looks for, is one that the training examples allow."""
    if isinstance(settings.batch_size, int):
        return settings.batch_size
    unit = engine.world * settings.grad_accumulation_steps
    return max(1, min(settings.examples_per_step, len(data.train)) // unit) * unit


def _dataset_of(resolved: ResolvedRecipe) -> str:
    has_dataset = "dataset" in resolved.components
    return f"the dataset '{resolved.recipe.component('dataset')}'" if has_dataset else "the dataset"


def _check_examples(examples: Any, source: str) -> None:
    """Raises BadSetting for what has no length."""
    if not (hasattr(examples, "__len__") and hasattr(examples, "__getitem__")):
        raise BadSetting(
            f"{source} returns {describe_type(examples)}, but should return examples with a length and an index.",
            "Return zoo.InMemory, zoo.GeneratedExamples, or a map-style torch.utils.data.Dataset.",
        )


def _missing_examples(data: RunData, resolved: ResolvedRecipe) -> list[str]:
    """What a run leaves out because a split has no examples.

    Raises:
        BadSetting: if there are none to train on, or a setting asks for evaluations without examples.
    """
    settings, source = resolved.settings, f"the dataset '{resolved.recipe.component('dataset')}'"
    if not len(data.train):
        raise BadSetting(f"{source} has no training examples.", "Check its settings: `zoo info DATASET` lists them.")
    if not len(data.validation) and (settings.evaluate_every or settings.monitor):
        key = f"run.evaluate_every is {settings.evaluate_every}"
        key = key if settings.evaluate_every else f"run.monitor is '{settings.monitor}'"
        chosen = [word for word in WITHOUT_EVALUATIONS if getattr(settings, word.partition("=")[0][len("run.") :])]
        raise BadSetting(
            f"{key}, but {source} has no validation examples.",
            f"Add some, or write `{shlex.join(chosen)}` to train without evaluations.",
        )
    left_out = [] if len(data.test) else [f"{source} has no test examples, so the run ends without test metrics."]
    if not len(data.validation) and settings.preview_every:
        left_out.append(f"{source} has no validation examples, so the run makes no previews.")
    return left_out


def _refuse_full_copies(model: Model, trainer: Trainer, resolved: ResolvedRecipe) -> None:
    """An average of weights that was copied before they were sharded could not follow them."""
    inside = {id(module) for module in model.modules()}
    for name, value in vars(trainer).items():
        outside = [one for one in held([value]) if isinstance(one, torch.nn.Module) and id(one) not in inside]
        if not all(is_sharded(parameter) for one in outside for parameter in one.parameters()):
            raise BadSetting(
                f"run.fsdp shards the model across the processes, but the trainer "
                f"'{resolved.recipe.component('trainer')}' holds self.{name}, a full copy or another network.",
                "Leave run.fsdp out, or the copy.",
            )
