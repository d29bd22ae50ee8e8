"""The checks of a recipe and its trainer, which run a few steps on the CPU."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, cast

import torch
from torch import Tensor
from torch.utils.data import Subset

from zoo_core.checkpoint import directory as checkpoint
from zoo_core.config.recipe import WITHOUT_EVALUATIONS, Recipe
from zoo_core.errors import BadFile, ZooError, describe_type
from zoo_core.hookspecs import hookimpl
from zoo_core.registry.resolve import resolve
from zoo_core.testing.check import Skip, Subject, check, require
from zoo_core.training.assemble import try_out
from zoo_core.training.loop import Loop

_STEPS_ON_ONE_BATCH = 30  # within which a loss should decrease
SMALL_RUN = ("run.device=cpu", "run.precision=float32", "run.workers=0", "run.preview_every=0", *WITHOUT_EVALUATIONS)


@check(
    "recipe",
    "Training reduces a loss when the same batch is repeated.",
    "Check that the optimizer has the model's parameters, and that step() calls backward() and optimizer.step().",
)
def training_lowers_a_loss(subject: Subject) -> None:
    with built(subject, steps=_STEPS_ON_ONE_BATCH) as loop:
        batch = next(iter(loop.batches))
        seen = [_step(loop, batch, number) for number in range(_STEPS_ON_ONE_BATCH)]
    losses = [name for name in seen[0] if "loss" in name]
    if not losses:
        raise Skip("step() returns no metric with 'loss' in its name")
    late = seen[_STEPS_ON_ONE_BATCH // 2 :]
    changes = {name: (float(seen[0][name]), min(float(one[name]) for one in late)) for name in losses}
    listed = ", ".join(f"{name} from {first:.4g} to {last:.4g}" for name, (first, last) in changes.items())
    decreases = any(last < first - 0.02 * abs(first) for first, last in changes.values())
    require(decreases, f"no loss decreases in {_STEPS_ON_ONE_BATCH} steps: {listed}")


@check(
    "recipe",
    "A step returns detached 0-d tensors, so that loggers can read them later without a synchronization in every step.",
    "Return a mapping from names to detached 0-d tensors.",
)
def step_returns_detached_scalars(subject: Subject) -> None:
    with built(subject) as loop:
        metrics = _step(loop, next(iter(loop.batches)), 0)
    for name, value in metrics.items():
        require(isinstance(value, Tensor), f"'{name}' is {describe_type(value)}")
        require(value.ndim == 0, f"'{name}' has shape {tuple(value.shape)}")
        require(not value.requires_grad, f"'{name}' is not detached from the graph")
        require(bool(value.isfinite()), f"'{name}' is {float(value)}")


@check(
    "recipe",
    "A step does not change frozen parameters.",
    "Pass only parameters that require gradients to the optimizer, and do not change requires_grad.",
)
def step_keeps_frozen_parameters(subject: Subject) -> None:
    with built(subject) as loop:
        frozen = {name: one for name, one in loop.run.model.named_parameters() if not one.requires_grad}
        if not frozen:
            raise Skip("no parameter is frozen")
        before = {name: one.detach().clone() for name, one in frozen.items()}
        _step(loop, next(iter(loop.batches)), 0)
        for name, one in frozen.items():
            require(torch.equal(one, before[name]), f"'{name}' is frozen, but changes")


@check(
    "recipe",
    "Evaluations, previews, checkpoints and resuming do not change the training, however often they take place.",
    "In evaluate() and preview(), do not change weights, optimizers, schedules or attributes of the trainer.",
)
def measuring_does_not_change_training(subject: Subject) -> None:
    often = ("run.evaluate_every=2", "run.preview_every=1", "run.checkpoint_every=1", "run.log_every=1")
    with TemporaryDirectory() as name, _without_warnings():
        states = []
        for number, measuring in enumerate((("run.checkpoint_every=0",), often)):
            folder = Path(name, str(number))
            if measuring is often:
                with built(subject, 4, often, folder, [_StopAt(3)]) as loop:
                    _measure_a_few(loop)
                    loop.train()
            with built(subject, 4, measuring, folder) as loop:
                _measure_a_few(loop)
                if measuring is often:
                    loop.restore(*checkpoint.load_newest(loop.run.folder.checkpoints)[:2])
                loop.train()
                states.append(checkpoint.load_newest(loop.run.folder.checkpoints)[1])
        seldom, watched = states
        for key in (key for key in seldom if not key.startswith("run.")):
            require(key in watched, f"{key} is missing after a training with evaluations")
            for tensor, value in seldom[key][0].items():
                same = tensor in watched[key][0] and torch.equal(value, watched[key][0][tensor])
                require(same, f"{key}.{tensor} differs after a training with evaluations and previews")
            require(seldom[key][1] == watched[key][1], f"{key} differs after a training with evaluations and previews")


@check(
    "recipe",
    "Two runs with the same seed give the same weights.",
    "Use torch's global generators, and in order() the one that is passed; do not use time or hashes of objects.",
)
def same_seed_gives_same_weights(subject: Subject) -> None:
    ends = []
    for _ in range(2):
        with built(subject) as loop:
            batches = iter(loop.batches)
            for number in range(3):
                _step(loop, next(batches), number)
            ends.append({name: tensor.clone() for name, tensor in loop.run.model.state_dict().items()})
    for name, tensor in ends[0].items():
        require(torch.equal(tensor, ends[1][name]), f"'{name}' differs between two runs with the same seed")


@check(
    "recipe",
    "A run that is stopped and resumed gives bit for bit the same weights as an uninterrupted one.",
    "Keep the state of the trainer in attributes without a leading underscore; use random numbers only in step().",
)
def stop_and_resume_is_bit_identical(subject: Subject) -> None:
    with TemporaryDirectory() as name, _without_warnings():
        overrides = ("run.steps=4", "run.checkpoint_every=0")
        ends = []
        for stopped in (False, True):
            folder, callbacks = Path(name, str(stopped)), [_StopAt(2)] if stopped else []
            with built(subject, overrides=overrides, folder=folder, callbacks=callbacks) as loop:
                loop.train()
            if stopped:
                with built(subject, overrides=overrides, folder=folder) as loop:
                    loop.restore(*checkpoint.load_newest(loop.run.folder.checkpoints)[:2])
                    loop.train()
            loop.finalize()
            ends.append({name: tensor.clone() for name, tensor in loop.run.model.state_dict().items()})
        for key, tensor in ends[0].items():
            require(torch.equal(tensor, ends[1][key]), f"'{key}' differs between the resumed and the uninterrupted run")


@check(
    "recipe",
    "Any batch size works, such as that of a smaller last batch.",
    "Do not hard-code the batch size; raise zoo.ZooError for a size that is not supported.",
)
def odd_batch_sizes_work(subject: Subject) -> None:
    skip_without_dataset(subject)
    for size in (3 * accumulated(subject), 7 * accumulated(subject)):
        with built(subject, overrides=(f"run.batch_size={size}",)) as loop:
            batch = next(iter(loop.batches))
            try:
                metrics = _step(loop, batch, 0)
            except ZooError as error:
                raise Skip(f"it does not support a batch of {size} examples: {error.message}") from error
            not_finite = [name for name, value in metrics.items() if not math.isfinite(value)]
            require(not not_finite, f"with a batch of {size} examples, {', '.join(not_finite)} is not finite")


@contextmanager
def built(
    subject: Subject,
    steps: int = 8,
    overrides: tuple[str, ...] = (),
    folder: Path | None = None,
    callbacks: Iterable[object] = (),
) -> Iterator[Loop]:
    """The training loop of the recipe, which the check can step by itself; files are written to ``folder`` only."""
    with _without_warnings():
        try:
            resolved = resolve(small_recipe(subject, f"run.steps={steps}", *overrides), subject.catalog)
            loop = try_out(resolved, folder, callbacks)
        except BadFile as error:
            raise Skip(f"its data are not available: {error.message}") from error
        with loop.engine.flushing_denormals():
            yield loop
        loop.engine.release(loop.run.model)


def small_recipe(subject: Subject, *overrides: str) -> Recipe:
    recipe = subject.catalog.recipe(subject.name)
    if "???" in str(recipe.with_overrides(suitable(recipe, subject.overrides)).values):
        raise Skip("it has a required setting")
    size = f"run.batch_size={small_batch(subject)}"
    small = recipe.with_overrides(suitable(recipe, [*SMALL_RUN, size, *subject.overrides, *overrides]))
    # Only a run looks for the largest batch.
    return small.with_overrides([size]) if small.settings("run").get("batch_size") == "auto" else small


def accumulated(subject: Subject) -> int:
    """The number of parts in which a batch of the recipe is passed to a step, of which its size is a multiple."""
    recipe = subject.catalog.recipe(subject.name)
    run = recipe.with_overrides(suitable(recipe, subject.overrides)).values.get("run") or {}
    parts = run.get("grad_accumulation_steps", 1)
    return parts if isinstance(parts, int) and parts > 0 else 1


def small_batch(subject: Subject) -> int:
    """The size of a batch in most checks: 8, or that of the recipe if it is smaller, and a multiple of its parts."""
    size = (subject.catalog.recipe(subject.name).values.get("run") or {}).get("batch_size", 64)
    parts = accumulated(subject)
    return -(-(min(size, 8) if isinstance(size, int) else 8) // parts) * parts


def suitable(recipe: Recipe, overrides: Iterable[str]) -> list[str]:
    """The overrides without those of the batch size if the recipe has no dataset: they are those of a whole plugin."""
    return [word for word in overrides if "dataset" in recipe.parts or not word.startswith("run.batch_size=")]


def skip_without_dataset(subject: Subject) -> None:
    """Raise Skip if the recipe has no dataset, whose examples a check is about."""
    if "dataset" not in subject.catalog.recipe(subject.name).parts:
        raise Skip("the recipe has no dataset")


def _step(loop: Loop, batch: Any, number: int) -> Any:
    from zoo_core.data.seeding import seed_step

    seed_step(loop.run.settings.seed, number, 0)
    metrics = loop.run.trainer.step(batch)
    loop.run.trainer.after_step()
    return metrics


def _measure_a_few(loop: Loop) -> None:
    """Let evaluations use two batches of each split."""
    splits = loop.splits
    few: dict[str, Any] = {
        name: Subset(cast(Any, examples), range(min(len(examples), 2 * splits.batch_size)))
        for name, examples in (("train", splits.train), ("validation", splits.validation), ("test", splits.test))
    }
    loop.evaluator.splits = replace(splits, **few)


@contextmanager
def _without_warnings() -> Iterator[None]:
    """A context that ignores warnings of a dataset, for example that a subset of the data is used."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        yield


class _StopAt:
    """Callback that stops a run after a step, as a signal does."""

    def __init__(self, step: int) -> None:
        self.step = step

    @hookimpl
    def zoo_step_finished(self, run: Any, step: int) -> None:
        if step == self.step:
            run.stop("a check")
