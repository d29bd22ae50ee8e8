"""What is promised of a recipe: of its trainer, on its model and data. A few steps of it are run, on the CPU."""

from __future__ import annotations

import itertools
import json
import os
import re
import subprocess
import sys
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from torch import Tensor

from zoo_core.checkpoint import directory as checkpoint
from zoo_core.config.layers import PLUGIN_FILES
from zoo_core.config.recipe import Recipe
from zoo_core.errors import BadFile, ZooError
from zoo_core.hookspecs import hookimpl
from zoo_core.registry.resolve import resolve
from zoo_core.testing.check import Skip, Subject, check, require
from zoo_core.training.assemble import try_out
from zoo_core.training.loop import Loop
from zoo_core.weights.format import read_tensors

_FALLING = 30  # steps in which a loss should fall on one batch
_TINY = ("run.device=cpu", "run.precision=float32", "run.workers=0", "run.preview_every=0", "run.evaluate_every=0")


@check(
    "recipe",
    "It trains: on one batch, again and again, some loss falls.",
    "Look whether the optimizer has the model's parameters, and whether step() calls backward and step.",
)
def training_lowers_a_loss(subject: Subject) -> None:
    with _tried(subject, steps=_FALLING) as loop:
        batch = next(iter(loop.batches))
        seen = [_step(loop, batch, number) for number in range(_FALLING)]
    losses = [name for name in seen[0] if "loss" in name]
    if not losses:
        raise Skip("step() reports nothing that is called a loss")
    falls = {name: (float(seen[0][name]), min(float(one[name]) for one in seen[_FALLING // 2 :])) for name in losses}
    told = ", ".join(f"{name} from {first:.4g} to {last:.4g}" for name, (first, last) in falls.items())
    require(any(last < first - 0.02 * abs(first) for first, last in falls.values()), f"in {_FALLING} steps, {told}")


@check(
    "recipe",
    "Progress, metrics files and loggers can read what a step reports, when they like, without waiting in every step.",
    "Return a mapping from names to detached 0-d tensors.",
)
def a_step_reports_detached_numbers(subject: Subject) -> None:
    with _tried(subject) as loop:
        metrics = _step(loop, next(iter(loop.batches)), 0)
    for name, value in metrics.items():
        require(isinstance(value, Tensor), f"'{name}' is a {type(value).__name__}")
        require(value.ndim == 0, f"'{name}' has shape {tuple(value.shape)}")
        require(not value.requires_grad, f"'{name}' still holds on to the graph it was computed by")
        require(bool(value.isfinite()), f"'{name}' is {float(value)}")


@check(
    "recipe",
    "A parameter that is frozen stays as it is.",
    "Give the optimizer those parameters alone that should change; leave requires_grad as it is.",
)
def a_step_leaves_frozen_parameters_alone(subject: Subject) -> None:
    with _tried(subject) as loop:
        frozen = {name: one for name, one in loop.run.model.named_parameters() if not one.requires_grad}
        if not frozen:
            raise Skip("no parameter is frozen")
        before = {name: one.detach().clone() for name, one in frozen.items()}
        _step(loop, next(iter(loop.batches)), 0)
        for name, one in frozen.items():
            require(torch.equal(one, before[name]), f"'{name}' is frozen, and changed")


@check(
    "recipe",
    "Who looks on changes nothing: a run that is measured and drawn is the run that is not.",
    "In evaluate() and preview(), use eval() and torch.no_grad(), and put back the mode that was.",
)
def looking_changes_nothing(subject: Subject) -> None:
    with _tried(subject) as loop:
        batch = next(iter(loop.batches))
        _step(loop, batch, 0)
        model, trainer = loop.run.model, loop.run.trainer
        before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
        modes = {name: module.training for name, module in model.named_modules()}
        trainer.preview(next(iter(loop.splits.validation_batches())))
        trainer.evaluate(_some(loop.splits.test_batches()), _some(loop.splits.train_batches()))
        for name, tensor in model.state_dict().items():
            require(torch.equal(tensor, before[name]), f"'{name}' is another after evaluate() and preview()")
        for name, module in model.named_modules():
            require(module.training == modes[name], f"'{name or 'the model'}' is left in another mode")


@check(
    "recipe",
    "The same seed gives the same weights.",
    "Draw from torch's own generators, and in order() from the one that is given; no time, no hash of objects.",
)
def the_same_seed_gives_the_same_weights(subject: Subject) -> None:
    ends = []
    for _ in range(2):
        with _tried(subject) as loop:
            batches = iter(loop.batches)
            for number in range(3):
                _step(loop, next(batches), number)
            ends.append({name: tensor.clone() for name, tensor in loop.run.model.state_dict().items()})
    for name, tensor in ends[0].items():
        require(torch.equal(tensor, ends[1][name]), f"'{name}' differs between two runs of one seed")


@check(
    "recipe",
    "A run that was stopped and resumed ends as if it had not been.",
    "Keep what the trainer needs in attributes without a leading underscore; draw nothing outside step().",
)
def stop_and_resume_is_bit_identical(subject: Subject) -> None:
    with TemporaryDirectory() as name, _quietly():
        words = ("run.steps=4", "run.checkpoint_every=0")
        ends = []
        for stopped in (False, True):
            folder = Path(name, str(stopped))
            with _tried(subject, words=words, folder=folder, callbacks=[_StopsAt(2)] if stopped else []) as loop:
                loop.train()
            if stopped:
                with _tried(subject, words=words, folder=folder) as loop:
                    loop.restore(*checkpoint.load_newest(loop.run.folder.checkpoints)[:2])
                    loop.train()
            loop.run.trainer.finalize()
            ends.append({name: tensor.clone() for name, tensor in loop.run.model.state_dict().items()})
        for key, tensor in ends[0].items():
            require(torch.equal(tensor, ends[1][key]), f"'{key}' differs from that of the run that was not stopped")


@check(
    "recipe",
    "The last batch of whoever has other data, and a batch that is small for a small machine, work.",
    "Write no batch size into the code; where a size can't be, say so with zoo.ZooError.",
)
def odd_batch_sizes_work(subject: Subject) -> None:
    for size in (3, 7):
        with _tried(subject, words=(f"run.batch_size={size}",)) as loop:
            batch = next(iter(loop.batches))
            try:
                metrics = _step(loop, batch, 0)
            except ZooError as error:
                raise Skip(f"it refuses {size} examples: {error.message}") from error
            wrong = [name for name, value in metrics.items() if not bool(value.isfinite())]
            require(not wrong, f"with {size} examples, {', '.join(wrong)} is no number")


@check(
    "recipe",
    "It trains on several devices and machines: every process ends with the same weights, and the same state.",
    "Hand every network that is trained to engine.prepare(), call backward through engine.backward(), and let what "
    "the trainer keeps of its share of a batch go through engine.sum() or gather().",
)
def two_processes_agree(subject: Subject) -> None:
    if not torch.distributed.is_available():
        raise Skip("this build of PyTorch has no torch.distributed")
    files = [info for info in subject.catalog.plugins.infos if info.distribution == "your file"]
    if files and not os.environ.get(PLUGIN_FILES):  # `zoo --plugin FILE` sets it, for the processes it starts as well
        raise Skip("a single file is not known in other processes, but if it is named by `zoo --plugin FILE`")
    _recipe(subject)  # skips one that needs a setting
    with TemporaryDirectory() as name:
        words = [*_TINY, *subject.overrides, "run.steps=2", "run.batch_size=8", "run.checkpoint_every=0"]
        launcher = [
            sys.executable,
            "-m",
            "torch.distributed.run",
            "--standalone",
            "--local-addr",
            "127.0.0.1",
            "--nproc-per-node",
            "2",
        ]
        command = [*launcher, "-m", "zoo_core.testing.process_pair", name, subject.name, *words]
        surroundings = {**os.environ, "OMP_NUM_THREADS": "1"}
        done = subprocess.run(command, capture_output=True, text=True, env=surroundings)  # noqa: S603  # this Python
        require(done.returncode == 0, f"two processes do not finish: {_last_error(done.stderr)}")
        ends = [read_tensors(Path(name, f"rank-{rank}.safetensors")) for rank in range(2)]
        for key, tensor in ends[0].items():
            # Plain batch statistics are each process's own.
            if not key.endswith(("running_mean", "running_var")):
                require(torch.equal(tensor, ends[1][key]), f"'{key}' differs between two processes")
        held = [json.loads(Path(name, f"rank-{rank}.json").read_text()) for rank in range(2)]
        for attribute, value in held[0].items():
            require(value == held[1][attribute], f"the trainer's self.{attribute} differs between two processes")


@contextmanager
def _tried(
    subject: Subject,
    steps: int = 8,
    words: tuple[str, ...] = (),
    folder: Path | None = None,
    callbacks: Iterable[object] = (),
) -> Iterator[Loop]:
    """The recipe built, ready to be stepped by hand; nothing is written but into ``folder``."""
    with _quietly():
        try:
            resolved = resolve(_recipe(subject, f"run.steps={steps}", *words), subject.catalog)
            loop = try_out(resolved, folder, callbacks)
        except BadFile as error:
            raise Skip(f"its data are not to be had here: {error.message}") from error
        with loop.engine.flushing_denormals():
            yield loop
        loop.engine.release(loop.run.model)


def _recipe(subject: Subject, *words: str) -> Recipe:
    recipe = subject.catalog.recipe(subject.name)
    if "???" in str(recipe.with_overrides(subject.overrides).values):
        raise Skip("it needs a setting that only its user knows")
    size = int((recipe.values.get("run") or {}).get("batch_size", 64))
    return recipe.with_overrides([*_TINY, f"run.batch_size={min(size, 8)}", *subject.overrides, *words])


def _step(loop: Loop, batch: Any, number: int) -> Any:
    from zoo_core.data.seeding import seed_step

    seed_step(loop.run.settings.seed, number, 0)
    return loop.run.trainer.step(batch)


def _some(batches: Any) -> list[Any]:
    return list(itertools.islice(batches, 2))


@contextmanager
def _quietly() -> Iterator[None]:
    """What a data set says of the data it makes do with is a run's concern."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        yield


class _StopsAt:
    """Ends a run after a step, as a signal would."""

    def __init__(self, step: int) -> None:
        self.step = step

    @hookimpl
    def zoo_step_finished(self, run: Any, step: int) -> None:
        if step == self.step:
            run.stop("a check")


def _last_error(text: str) -> str:
    """What the process that failed first said, and not what the other or their launcher say of that."""
    lines = [line.strip() for line in text.splitlines()]
    raised = [line for line in lines if re.match(r"(\[rank\d\]: )?[\w.]*(Error|Exception|Failed)\b", line)]
    ours = [line for line in raised if "ChildFailedError" not in line]
    first = [line for line in ours if line[:7] == ours[0][:7]]  # "[rank1]"
    return (first or raised or lines or ["nothing was said"])[-1]
