"""A recipe's training as ``zoo run`` does it, for some seconds."""

from __future__ import annotations

import time
from collections.abc import Iterable
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from torch.utils.flop_counter import FlopCounterMode

from zoo_core.config.recipe import Recipe
from zoo_core.engine.devices import find_device, find_precision
from zoo_core.engine.memory import memory_now, peak_memory
from zoo_core.errors import BadSetting
from zoo_core.hookspecs import hookimpl
from zoo_core.loggers import standard
from zoo_core.registry.catalog import Catalog
from zoo_core.registry.resolve import resolve
from zoo_core.runs.run import Run
from zoo_core.tools.bench.machine import matrix_products, synchronize
from zoo_core.tools.bench.measurement import Bench, Measured
from zoo_core.training.runner import run_recipe

QUIET = ("run.checkpoint_every=0", "run.checkpoint_minutes=0", "run.evaluate_every=0", "run.preview_every=0")
"""Nothing but steps and their logging: how often the rest comes is the user's choice, and no property of a step."""
_COUNTED = 2  # the step whose operations are counted: the first may still make what later ones keep
_WARM = 5  # steps that are not timed, at the least
_WARM_SHARE = 0.2  # of the seconds
_FEWEST = 3


def bench_training(recipe: Recipe, catalog: Catalog, seconds: float, callbacks: Iterable[object] = ()) -> Bench:
    """Train ``recipe`` for about so many ``seconds``, metrics file and TensorBoard included, and throw the run away.

    Raises:
        ZooError: as a run of it would; or if it has too few steps to be timed.
    """
    resolved = resolve(recipe, catalog)
    settings = resolved.settings
    device = find_device(settings.device)
    precision = find_precision(settings.precision, device)
    if settings.threads is not None:
        torch.set_num_threads(settings.threads)
    before, peak = memory_now(device), matrix_products(device, precision)
    watch = _Watch(seconds, counts=not settings.compile)
    with TemporaryDirectory(prefix="zoo-bench-") as folder:
        run = run_recipe(resolved, [*standard(), watch, *callbacks], Path(folder, "run"))
    if run.stopping not in ("", watch.name):  # by a signal: what was timed is not what was asked for
        raise KeyboardInterrupt
    if len(watch.times) < _FEWEST:
        raise BadSetting(
            f"the recipe '{recipe.name}' ended after {run.step} steps, too few to be timed.", "Write `run.steps=10000`."
        )
    peak = max(peak, matrix_products(device, precision))
    step = Measured("training step", watch.times, settings.batch_size, watch.operations, peak)
    return Bench.of(recipe.name, recipe.component("model"), run.model, device, precision, before, watch.memory, [step])


class _Watch:
    """Times the steps of a run from one to the next, and ends it when there are enough."""

    name = "the benchmark"

    def __init__(self, seconds: float, counts: bool) -> None:
        self.seconds, self.counts = seconds, counts
        self.times: list[float] = []
        self.operations = self.memory = 0
        self.counter, self.counting = FlopCounterMode(display=False), ExitStack()
        self.began = self.last = 0.0

    @hookimpl
    def zoo_step_finished(self, run: Run, step: int) -> None:
        if step == 1:
            self.began = time.perf_counter()
        if step == _COUNTED:
            self.counting.close()
            self.operations = self.counter.get_total_flops()
        elif self.counts and step == _COUNTED - 1 and step < run.total_steps:
            self.counting.enter_context(self.counter)
        now = time.perf_counter()
        warm = step > _WARM and now - self.began > _WARM_SHARE * self.seconds
        over = len(self.times) >= _FEWEST and now - self.began > self.seconds
        if (warm and not self.last) or over:
            synchronize(run.device)  # a device that lags behind would be timed for steps of before, or not for its own
            now = time.perf_counter()
        if warm and self.last:
            self.times.append(now - self.last)
        if warm:
            self.last = now
        if over:
            self.memory = peak_memory(run.device)  # and not with what the last checkpoint takes
            run.stop(self.name)

    @hookimpl
    def zoo_run_failed(self) -> None:
        self.counting.close()
