"""Benchmark of a recipe's training, which runs for some seconds as under ``zoo run``."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode

from zoo_core.config.recipe import WITHOUT_EVALUATIONS, Recipe
from zoo_core.engine.devices import find_device
from zoo_core.engine.memory import memory_now, peak_memory
from zoo_core.engine.precision import find_precision
from zoo_core.errors import BadSetting, ZooError
from zoo_core.hookspecs import hookimpl
from zoo_core.loggers import standard
from zoo_core.registry.catalog import Catalog
from zoo_core.registry.resolve import resolve
from zoo_core.runs.run import Run
from zoo_core.tools.bench.kernels import DeviceWork, profiler, spans
from zoo_core.tools.bench.machine import matrix_products, synchronize
from zoo_core.tools.bench.measurement import Bench, Measurement
from zoo_core.training.runner import run_recipe

QUIET = WITHOUT_EVALUATIONS
"""Settings without evaluations: how often a run evaluates is not a property of its steps, and one may take minutes."""
WAYS = {
    "eager": ("run.cuda_graph=off", "run.compile=off"),
    "captured": ("run.cuda_graph=auto", "run.compile=off"),
    "compiled": ("run.cuda_graph=auto", "run.compile=default"),
}
"""The ways to perform a step that are compared on CUDA, unless the recipe or an override chooses one."""
_COUNTED_STEP = 2  # the step whose operations are counted: the first one may also initialize lazy state
_MIN_WARMUP_STEPS = 5
_WARMUP_FRACTION = 0.2  # of the given seconds
_MIN_STEPS = 3
_PROFILED_STEPS = 20
_PATIENCE = 0.5  # of the given seconds, in which whole log intervals are waited for


def bench_training(recipe: Recipe, catalog: Catalog, seconds: float, callbacks: Iterable[object] = ()) -> Bench:
    """Train ``recipe`` for about ``seconds``, with logging, previews and checkpoints, and delete the run.

    On CUDA it is trained once in each way of :data:`WAYS`; one that fails is left out, with a note, unless all do.

    Raises:
        ZooError: as a run of the recipe would; or if the run has too few steps to be timed.
    """
    callbacks = list(callbacks)
    device = find_device(resolve(recipe, catalog).settings.device)
    ways = ways_of(recipe, device)
    if len(ways) == 1:
        return _bench("training step", recipe, catalog, seconds, callbacks)
    found: list[Bench] = []
    notes: list[str] = []
    for name, overrides in ways.items():
        try:
            found.append(_bench(name, recipe.with_overrides(overrides), catalog, seconds, callbacks))
        except ZooError as error:
            notes.append(f"{name}: {error.message}")
            if len(notes) == len(ways):
                raise
    measurements = [measurement for one in found for measurement in one.measurements]
    operations = max(one.operations for one in measurements)  # not counted in a compiled step, which has the same
    return replace(
        found[0],
        measurements=[replace(one, operations=operations) for one in measurements],
        notes=notes,
        peak_memory=max(one.peak_memory for one in found),
    )


def ways_of(recipe: Recipe, device: torch.device) -> Mapping[str, Sequence[str]]:
    """The overrides of each way to perform a step that is measured on ``device``."""
    if device.type != "cuda" or {"cuda_graph", "compile"} & recipe.settings("run").keys():
        return {"training step": ()}
    return WAYS


def _bench(name: str, recipe: Recipe, catalog: Catalog, seconds: float, callbacks: Iterable[object]) -> Bench:
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
    step = Measurement(
        name,
        timer.times,
        run.settings.examples_per_step if "dataset" in resolved.components else 0,
        timer.operations,
        peak,
        synchronized=device.type == "cpu",
        launches=timer.work.launches / _PROFILED_STEPS if timer.work else None,
        busy=timer.work.busy / _PROFILED_STEPS if timer.work else None,
    )
    model_name = recipe.component("model")
    return Bench.of_model(recipe.name, model_name, run.model, device, precision, before, timer.memory, [step])


class _StepTimer:
    """Callback that measures the wall-clock time of steps in whole log intervals, and stops the run after ``seconds``.

    The device is waited for at both ends only. If the log intervals are long compared with ``seconds``, it starts or
    ends within one. On CUDA some more steps are profiled afterwards.
    """

    name = "the benchmark"

    def __init__(self, seconds: float, count_operations: bool) -> None:
        self.seconds, self.count_operations = seconds, count_operations
        self.times: list[float] = []
        self.operations = self.memory = 0
        self.work: DeviceWork | None = None
        self.counter, self.counting = FlopCounterMode(display=False), ExitStack()
        self.profile: Any = None
        self.profiled_until = 0
        self.start = self.begun = self.last = 0.0

    @hookimpl
    def zoo_step_finished(self, run: Run, step: int) -> None:
        if step == 1:
            self.start = time.perf_counter()
        self._count(run, step)
        if self.profile is not None:
            if step == self.profiled_until:
                self._end_profile(run)
            return
        now = time.perf_counter()
        # This hook is called before a step is logged: whole log intervals lie between steps that follow a logged one.
        between = (step - 1) % run.settings.log_every == 0
        if not self.last:
            passed = (now - self.start) / self.seconds
            warm = step > _MIN_WARMUP_STEPS and passed > _WARMUP_FRACTION
            if warm and (between or passed > _PATIENCE):
                synchronize(run.device)  # work queued before the first timed step is not counted
                self.begun = self.last = time.perf_counter()
            return
        timed = (now - self.begun) / self.seconds + _WARMUP_FRACTION
        over = len(self.times) >= _MIN_STEPS - 1 and timed > 1 and (between or timed > 1 + _PATIENCE)
        if over:
            synchronize(run.device)  # work of the last step is counted
            now = time.perf_counter()
        self.times.append(now - self.last)
        self.last = now
        if over:
            self.memory = peak_memory(run.device)  # read here, so that the last checkpoint does not count
            if run.device.type == "cuda" and step + _PROFILED_STEPS < run.total_steps:
                self.profiled_until = step + _PROFILED_STEPS
                self.profile = profiler()
                self.profile.start()
            else:
                run.stop(self.name)

    @hookimpl
    def zoo_run_failed(self) -> None:
        self.counting.close()
        if self.profile is not None:
            self.profile.stop()

    def _count(self, run: Run, step: int) -> None:
        if step == _COUNTED_STEP:
            self.counting.close()
            self.operations = self.counter.get_total_flops()
        elif self.count_operations and step == _COUNTED_STEP - 1 and step < run.total_steps:
            self.counting.enter_context(self.counter)

    def _end_profile(self, run: Run) -> None:
        synchronize(run.device)
        profile, self.profile = self.profile, None
        profile.stop()
        self.work = DeviceWork.of(spans(profile))
        run.stop(self.name)
