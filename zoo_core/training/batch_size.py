"""``run.batch_size=auto``: the largest batch that fits, found by steps that leave no trace."""

from __future__ import annotations

import gc
import os
import threading
import time
import warnings
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path

import pluggy
import torch

from zoo_core.checkpoint.gradients import WATCHED_STEPS
from zoo_core.config.recipe import Recipe
from zoo_core.config.run_settings import DEFAULT_BATCH_SIZE
from zoo_core.data.no_data import NoExamples
from zoo_core.data.seeding import seed_step
from zoo_core.engine.devices import find_device, local_device_index
from zoo_core.engine.engine import AccelerateEngine
from zoo_core.engine.memory import available_memory, is_out_of_memory, memory_now, peak_memory
from zoo_core.engine.own_settings import own_settings
from zoo_core.engine.rank import not_launched
from zoo_core.errors import BadSetting, RunFailed, ZooError, raised
from zoo_core.registry.resolve import ResolvedRecipe, resolve
from zoo_core.runs.folder import RunFolder
from zoo_core.training.assemble import RunData, build_components, build_loop
from zoo_core.training.callbacks import CallbackList
from zoo_core.training.loop import Loop
from zoo_core.training.opened import open_dataset
from zoo_core.training.undisturbed import undisturbed

AUTO = "auto"
LARGEST_ON_CPU = 1024
SECONDS_ON_CPU = 1.0  # that a step may take; beyond that, a larger batch is hardly ever faster for each example
FRACTION = 0.9  # of the memory of an accelerator, for evaluations, previews and fragmentation take some as well
FRACTION_ON_CPU = 0.5  # of the memory that is available
_STEPS_ON_CPU = 3  # the first allocates gradients and the state of the optimizer, which the second has beside its own
_STEPS = WATCHED_STEPS + 16  # on an accelerator: until steps are captured, and what is done every sixteenth step
_SAMPLING = 0.002  # seconds between two looks at the memory of this process


@dataclass(frozen=True)
class FoundBatchSize:
    """The result of a search."""

    size: int
    reason: str
    """Why it is not larger."""
    unit: int = 1
    """The smallest size that was tried."""

    @property
    def note(self) -> str:
        """What a run says of it, and keeps in ``environment.json``."""
        tried = "power of two" if self.unit & (self.unit - 1) == 0 else f"one of {_doubled(self.unit)}"
        return (
            f"run.batch_size=auto: batch size {self.size}, the largest {tried} that fits ({self.reason}), found by "
            "trying steps; the learning rate is not changed."
        )

    def applied(self, resolved: ResolvedRecipe) -> ResolvedRecipe:
        """The recipe with this batch size, as if it had been typed."""
        given = resolved.given.with_overrides([f"run.batch_size={self.size}"])
        return resolve(given, resolved.catalog, resolved.provided)


def find_batch_size(resolved: ResolvedRecipe) -> FoundBatchSize | None:
    """The largest batch size of the recipe that fits; None unless ``run.batch_size`` is auto.

    Sizes are tried from one example for each process and part of a batch on, and doubled, each by some steps of a
    training of its own, with the same model, trainer, precision and averages as the run will have. The process trains
    alone: it must be called before it joins others, whose memory it does not share. Nothing of it is left: models,
    trainers and the dataset are built again by the run, and random states and global settings are put back.

    Raises:
        BadSetting: with ``run.fsdp``, which has several processes share one network.
        ZooError: as the run would, if no size can be trained at all.
    """
    settings = resolved.settings
    if settings.batch_size != AUTO:
        return None
    if settings.fsdp:
        raise BadSetting(
            "run.batch_size is 'auto', but with run.fsdp the memory of a step depends on all processes.",
            "Write a number, for example `run.batch_size=64`.",
        )
    if torch.distributed.is_initialized():
        raise BadSetting(
            "run.batch_size is 'auto', but these processes train together already, and a search needs each alone.",
            "Write a number, for example `run.batch_size=64`.",
        )
    search = _Search.of(resolved)
    with not_launched(), own_settings(), undisturbed(()), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the run repeats them
        return search.find()


def as_begun(resolved: ResolvedRecipe, begun: Recipe) -> ResolvedRecipe:
    """The recipe of a run that is resumed: with the batch size that was found for it when it was begun."""
    size = begun.values.get("run", {}).get("batch_size")
    if resolved.settings.batch_size != AUTO or not isinstance(size, int):
        return resolved
    return FoundBatchSize(size, "").applied(resolved)


def agreed(found: FoundBatchSize, engine: AccelerateEngine) -> FoundBatchSize:
    """The smallest of the sizes that the processes have found."""
    smallest = engine.process_group.smallest(found.size)
    if smallest == found.size:
        return found
    return replace(found, size=smallest, reason="it is the smallest of all processes")


@dataclass
class _Search:
    resolved: ResolvedRecipe
    """With the settings of a trial, which are those of the run except the batch size."""
    device: torch.device
    unit: int
    """The smallest size: one example for each process and part of a batch."""
    processes: int
    limit: int
    """Bytes that steps may take."""
    refused: Exception | None = None
    """The error of the trainer with the last size that it refused."""
    length: int = field(default=0, init=False)

    @classmethod
    def of(cls, resolved: ResolvedRecipe) -> _Search:
        settings, device = resolved.settings, find_device(resolved.settings.device)
        processes = int(os.environ.get("WORLD_SIZE", 1))
        limit = FRACTION * available_memory(device)
        if device.type == "cpu":
            limit = FRACTION_ON_CPU * available_memory(device) / int(os.environ.get("LOCAL_WORLD_SIZE", 1))
        elif processes > 1:
            device = torch.device(device.type, local_device_index(device))
        # Workers, other processes and profiles take no memory of the device.
        settings = replace(settings, device=str(device), workers=0, sync_batch_norm=False, profile="")
        unit = processes * settings.grad_accumulation_steps
        return cls(replace(resolved, settings=settings), device, unit, processes, int(limit))

    def find(self) -> FoundBatchSize:
        """Double the size until it is too large."""
        opened = open_dataset(self.resolved)
        self.resolved = replace(opened.resolved, settings=self.resolved.settings)
        seed_step(self.resolved.settings.seed, 0, 0, "data")
        dataset = opened.dataset
        train = dataset.train() if dataset else NoExamples()
        data = RunData(train, NoExamples(), NoExamples(), "", [])
        self.length = len(train)
        before = memory_now(self.device)
        size, best = self.unit, 0
        while not (reason := self._cannot_be(size)):
            tried = self._tried(data, size, before, best)
            if isinstance(tried, _Steps):
                if reason := self._too_large(tried):
                    break
                best = size
                if reason := self._too_large(tried, factor=2):
                    break
            elif tried:
                reason = tried
                break
            size *= 2
        if not best:
            raise self._none_fits(size, reason)
        return FoundBatchSize(best, reason, self.unit)

    def _none_fits(self, size: int, reason: str) -> ZooError:
        """The error if no size can be trained; ``size`` is the first that is too large."""
        prefix = "run.batch_size=auto: no batch size can be trained: "
        if isinstance(self.refused, ZooError):  # as for any number
            return self.refused
        if self.refused is not None:
            return RunFailed(
                f"{prefix}{reason}, and a smaller batch raises an error, {raised(self.refused)}.",
                "Write a number, for example `run.batch_size=8`, to see where it is raised.",
            )
        if size > self.length:
            needed = f"a batch needs {size}, one for each process and part of it"
            return RunFailed(f"{prefix}{reason}, and {needed}.", "Use more examples, or fewer processes or parts.")
        reason = reason if reason.startswith("a batch") else f"with a batch of {size}, {reason}"
        hint = "Use a smaller model or image size, or another device; or write a number, `run.batch_size=8`."
        return RunFailed(f"{prefix}{reason}.", hint)

    def _cannot_be(self, size: int) -> str:
        """Why a size is not tried."""
        if size > self.length:
            return f"the training split has {self.length:,} example{'s' * (self.length != 1)}"
        if self.device.type == "cpu" and size > max(LARGEST_ON_CPU, self.unit):
            return f"on the CPU {LARGEST_ON_CPU:,} is the most that is tried"
        return ""

    def _too_large(self, steps: _Steps, factor: int = 1) -> str:
        """Why a batch that is larger by ``factor`` takes too much. Memory and time are at most proportional to it."""
        if self.device.type == "cpu" and factor * steps.seconds > SECONDS_ON_CPU:
            return f"a step takes {steps.seconds:.2g} s, and on the CPU it may take {SECONDS_ON_CPU:g} s"
        # On an accelerator a batch that does not fit is an error. On the CPU it could end the process, so half of the
        # memory is left even to steps whose memory grows with the square of the batch.
        if (factor == 1 or self.device.type == "cpu") and factor * steps.memory > self.limit:
            return f"its steps take {steps.memory / 2**20:,.0f} MiB, and may take {self.limit / 2**20:,.0f} MiB"
        return ""

    def _tried(self, data: RunData, size: int, before: int, best: int) -> _Steps | str:
        """What steps with this size take; or that they do not fit, or "" if the trainer refuses a small batch.

        Up to the default size, one that is refused is skipped: batch normalization, for example, needs two examples.
        """
        try:
            return self._steps(data, size, before)
        except Exception as error:
            if is_out_of_memory(error, self.device):
                return f"a batch of {size} is out of memory on {self.device}"
            if best or size >= DEFAULT_BATCH_SIZE:
                raise
            self.refused = error
            return ""
        finally:
            self._release()

    def _steps(self, data: RunData, size: int, before: int) -> _Steps:
        settings = replace(self.resolved.settings, batch_size=size // self.processes)  # its share
        resolved = replace(self.resolved, settings=settings)
        if self.device.type != "cpu":
            torch.accelerator.reset_peak_memory_stats(self.device)
        engine = AccelerateEngine(settings)
        with _PeakMemory(self.device) as peak:
            components = build_components(resolved, resolved.load(), data, engine)
            hooks = CallbackList(pluggy.PluginManager("zoo"), ())
            loop = build_loop(resolved, data, components, engine, RunFolder(Path()), hooks)
            self.length = getattr(loop.batches, "length", self.length)
            seconds = self._perform(loop)
            trained = sum(one.numel() * one.element_size() for one in loop.run.model.parameters() if one.requires_grad)
        copies = trained if self.processes > 1 else 0  # the buckets in which processes exchange gradients
        return _Steps(max(0, peak.highest - before) + copies, seconds)

    def _perform(self, loop: Loop) -> float:
        """Perform steps, as many as the run will have at most; the seconds of the fastest."""
        count = _STEPS_ON_CPU if self.device.type == "cpu" else _STEPS
        times = []
        with loop.engine.flushing_denormals(), closing(loop.batches):
            for _ in range(max(1, min(count, loop.run.total_steps))):
                start = time.perf_counter()
                loop.step(next(loop.batches), first=1)
                if self.device.type != "cpu":
                    torch.accelerator.synchronize(self.device)
                times.append(time.perf_counter() - start)
        return min(times)

    def _release(self) -> None:
        """Free what a trial has left, and forget what torch.compile has learned about shapes."""
        gc.collect()
        if self.resolved.settings.compile != "off":
            torch.compiler.reset()
        if self.device.type != "cpu":
            torch.accelerator.empty_cache()


@dataclass(frozen=True)
class _Steps:
    """What the steps with one batch size have taken."""

    memory: int
    """Bytes beyond those before."""
    seconds: float
    """Of the fastest step."""


class _PeakMemory:
    """Context that measures the highest memory in it; on the CPU by looking often, since no peak can be reset."""

    def __init__(self, device: torch.device) -> None:
        self.device, self.highest = device, 0

    def __enter__(self) -> _PeakMemory:
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="zoo-peak-memory", daemon=True)
        if self.device.type == "cpu":
            self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        if self.device.type == "cpu":
            self._thread.join()
            self.highest = max(self.highest, memory_now(self.device))
        else:
            self.highest = peak_memory(self.device)

    def _watch(self) -> None:
        while not self._ended.wait(_SAMPLING):
            self.highest = max(self.highest, memory_now(self.device))


def _doubled(unit: int) -> str:
    return f"{unit}, {2 * unit}, {4 * unit}, ..."
