"""A short training of a planned recipe, which tells how long its steps and evaluations take."""

from __future__ import annotations

import gc
import time
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import torch

from zoo_core.config.recipe import WITHOUT_EVALUATIONS, Recipe
from zoo_core.engine.allocator import release_freed_memory
from zoo_core.engine.devices import find_device
from zoo_core.engine.memory import memory_now, peak_memory, reset_peak_memory
from zoo_core.hookspecs import hookimpl
from zoo_core.registry.catalog import Catalog
from zoo_core.registry.resolve import resolve
from zoo_core.runs.run import Run
from zoo_core.tools.bench.machine import synchronize
from zoo_core.training.runner import run_recipe

_STEPS = 1_000_000  # more than it will take
_QUIET = (*WITHOUT_EVALUATIONS, "run.checkpoint_every=0", "run.loggers=[]")
_ONE_PREVIEW = f"run.preview_every={_STEPS}"  # after the last step, since it needs memory as well
_WARM_UP = 3  # steps that are not timed
_SECONDS = 6.0  # for which steps are timed
_FEWEST = 3  # timed steps


@dataclass(frozen=True)
class Trial:
    """What a short training has shown: times in seconds, and memory in bytes."""

    start: float
    """Before the first step."""
    step: float
    evaluation: float
    """Of the test split, with the checkpoint before it."""
    memory_before: int
    memory: int
    """At its peak, of the steps and of the evaluation."""
    all_seconds: float
    """Of the trial itself."""


def try_steps(recipe: Recipe, catalog: Catalog) -> Trial:
    """Train ``recipe`` for some steps in a folder that is deleted, and evaluate it.

    Raises:
        ZooError: as a run of the recipe would.
    """
    begun = time.perf_counter()
    gc.collect()
    release_freed_memory()  # else what an earlier trial has used would count for this one
    preview = [] if recipe.settings("run").get("preview_every") == 0 else [_ONE_PREVIEW]
    resolved = resolve(recipe.with_overrides([*_QUIET, *preview, f"run.steps={_STEPS}"]), catalog)
    device = find_device(resolved.settings.device)
    before, timer = memory_now(device), _Timer(_Peak(device))
    with TemporaryDirectory(prefix="zoo-fit-") as folder:
        run = run_recipe(resolved, [timer], Path(folder, "run"))
    timer.peak.update()
    if run.stopping:  # a signal
        raise KeyboardInterrupt
    return Trial(
        timer.first - begun,
        (timer.last - timer.timed_from) / timer.count,
        timer.evaluated - timer.last,
        before,
        timer.peak.memory,
        time.perf_counter() - begun,
    )


class _Peak:
    """The most memory that was used since it was made."""

    def __init__(self, device: torch.device) -> None:
        self.device, self.memory = device, 0
        self.earlier = 0 if reset_peak_memory(device) else peak_memory(device)

    def update(self) -> None:
        peak = peak_memory(self.device)
        self.memory = max(self.memory, peak if peak > self.earlier else memory_now(self.device))


class _Timer:
    """Callback that times steps, and finishes the run."""

    def __init__(self, peak: _Peak) -> None:
        self.first = self.timed_from = self.last = self.evaluated = 0.0
        self.count, self.peak = 0, peak

    @hookimpl
    def zoo_step_finished(self, run: Run, step: int) -> None:
        if step <= _WARM_UP or (step - _WARM_UP > _FEWEST and time.perf_counter() - self.timed_from > _SECONDS):
            synchronize(run.device)
        self.last = now = time.perf_counter()
        if step == 1:
            self.first = now
        if step == _WARM_UP:
            self.timed_from = now
        self.count = max(1, step - _WARM_UP)
        if self.count > _FEWEST and now - self.timed_from > _SECONDS:
            run.finish("the trial is over")
        self.peak.update()

    @hookimpl
    def zoo_evaluated(self) -> None:
        self.evaluated = time.perf_counter()
        self.peak.update()
