"""Benchmark of a recipe's training, which runs for some seconds as under ``zoo run``."""

from __future__ import annotations

import time
from collections.abc import Iterable
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from torch.utils.flop_counter import FlopCounterMode

from zoo_core.config.recipe import Recipe
from zoo_core.engine.devices import find_device
from zoo_core.engine.memory import memory_now, peak_memory
from zoo_core.engine.precision import find_precision
from zoo_core.errors import BadSetting
from zoo_core.hookspecs import hookimpl
from zoo_core.loggers import standard
from zoo_core.registry.catalog import Catalog
from zoo_core.registry.resolve import resolve
from zoo_core.runs.run import Run
from zoo_core.tools.bench.machine import matrix_products, synchronize
from zoo_core.tools.bench.measurement import Bench, Measurement
from zoo_core.training.runner import run_recipe

QUIET = ("run.checkpoint_every=0", "run.checkpoint_minutes=0", "run.evaluate_every=0", "run.preview_every=0")
"""Settings that leave only steps and their logging: how often a run saves or evaluates is not a property of a step."""
_COUNTED_STEP = 2  # the step whose operations are counted: the first one may also initialize lazy state
_MIN_WARMUP_STEPS = 5
_WARMUP_FRACTION = 0.2  # of the given seconds
_MIN_STEPS = 3


def bench_training(recipe: Recipe, catalog: Catalog, seconds: float, callbacks: Iterable[object] = ()) -> Bench:
    """Train ``recipe`` for about ``seconds``, with the metrics file and TensorBoard on, and delete the run.

    Raises:
        ZooError: as a run of the recipe would; or if the run has too few steps to be timed.
    """
    resolved = resolve(recipe, catalog)
    settings = resolved.settings
    device = find_device(settings.device)
    precision = find_precision(settings.precision, device)
    if settings.threads is not None:
        torch.set_num_threads(settings.threads)
    before, peak = memory_now(device), matrix_products(device, precision)
    timer = _StepTimer(seconds, count_operations=settings.compile == "off")
    with TemporaryDirectory(prefix="zoo-bench-") as folder:
        run = run_recipe(resolved, [*standard(), timer, *callbacks], Path(folder, "run"))
    if run.stopping not in ("", timer.name):  # a signal: the measurement is incomplete
        raise KeyboardInterrupt
    if len(timer.times) < _MIN_STEPS:
        raise BadSetting(
            f"the recipe '{recipe.name}' ended after {run.step} steps, too few to be timed.", "Write `run.steps=10000`."
        )
    peak = max(peak, matrix_products(device, precision))
    step = Measurement("training step", timer.times, settings.batch_size, timer.operations, peak)
    model_name = recipe.component("model")
    return Bench.of_model(recipe.name, model_name, run.model, device, precision, before, timer.memory, [step])


class _StepTimer:
    """Callback that times each step of a run from the end of the one before, and stops the run after ``seconds``."""

    name = "the benchmark"

    def __init__(self, seconds: float, count_operations: bool) -> None:
        self.seconds, self.count_operations = seconds, count_operations
        self.times: list[float] = []
        self.operations = self.memory = 0
        self.counter, self.counting = FlopCounterMode(display=False), ExitStack()
        self.start = self.last = 0.0

    @hookimpl
    def zoo_step_finished(self, run: Run, step: int) -> None:
        if step == 1:
            self.start = time.perf_counter()
        if step == _COUNTED_STEP:
            self.counting.close()
            self.operations = self.counter.get_total_flops()
        elif self.count_operations and step == _COUNTED_STEP - 1 and step < run.total_steps:
            self.counting.enter_context(self.counter)
        now = time.perf_counter()
        warm = step > _MIN_WARMUP_STEPS and now - self.start > _WARMUP_FRACTION * self.seconds
        over = len(self.times) >= _MIN_STEPS and now - self.start > self.seconds
        if (warm and not self.last) or over:
            synchronize(run.device)  # work queued before the first timed step is not counted; work of the last one is
            now = time.perf_counter()
        if warm and self.last:
            self.times.append(now - self.last)
        if warm:
            self.last = now
        if over:
            self.memory = peak_memory(run.device)  # read here, so that the last checkpoint does not count
            run.stop(self.name)

    @hookimpl
    def zoo_run_failed(self) -> None:
        self.counting.close()
