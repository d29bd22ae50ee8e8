"""The loop: batches in, ``trainer.step``, hooks out."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import torch

from zoo_core.checkpoint.best import Best
from zoo_core.checkpoint.serialize import Packed, describe_type, pack, unpack
from zoo_core.checkpoint.state import TrainerState
from zoo_core.checkpoint.writer import AsyncCheckpointWriter
from zoo_core.data.image_output import drawable
from zoo_core.data.loader import Batches
from zoo_core.data.seeding import seed_step
from zoo_core.dataset import Batch
from zoo_core.engine.engine import AccelerateEngine
from zoo_core.engine.fsdp import local
from zoo_core.errors import RunFailed
from zoo_core.runs.run import Run
from zoo_core.training.callbacks import CallbackList
from zoo_core.training.metrics import MetricAccumulator, check_metric

# Among what a trainer holds; no attribute of its can have these names.
_METRICS, _BEST, _ENGINE = "run.metrics", "run.best", "run.engine"
_FINISH = "finish\n"  # before the reason, among what the processes say to one another


@dataclass
class Loop:
    """Drives a run's trainer from ``run.step`` to its last step; on any way out, what was done is on disk."""

    run: Run
    engine: AccelerateEngine
    batches: Batches
    state: TrainerState
    hooks: CallbackList
    evaluation: Callable[[], Iterable[Batch]]
    validation: Callable[[], Iterable[Batch]]
    training: Callable[[], Iterable[Batch]]
    preview: Callable[[], Iterable[Batch]]
    distributed_evaluation: bool = False
    saved_step: int = -1
    saved_at: float = field(default_factory=time.monotonic)
    draws: bool = True
    best: Best = field(default_factory=Best)

    def __post_init__(self) -> None:
        self.meter = MetricAccumulator(self.engine.mean)
        self.saver = AsyncCheckpointWriter(self.run.folder.checkpoints, self.run.settings.keep_checkpoints)

    def train(self) -> None:
        """Go on to the last step, or until something stops the run. A checkpoint is on disk when this returns.

        Raises:
            RunFailed: if the last checkpoint could not be written.
        """
        with self.saver:
            try:
                self._steps()
            except BaseException:
                self._settle()
                raise
            self._save()
            self._settle(last=True)

    def _steps(self) -> None:
        run, settings = self.run, self.run.settings
        first = run.step + 1
        while run.step < run.total_steps and not self._stopping():
            seed_step(settings.seed, run.step, self.engine.rank)
            for part in self.engine.in_parts(self.engine.to_device(next(self.batches))):
                metrics = run.trainer.step(part)
                self.meter.add(run.step + 1, metrics)
            run.step += 1
            if run.step == first:
                self.state.check()  # what a step gave the trainer, a checkpoint must be able to keep as well
            self.hooks.call("zoo_step_finished", run=run, step=run.step, metrics=metrics)
            last = run.step == run.total_steps
            if last or run.due(settings.log_every):
                self._log()
            if last or run.due(settings.preview_every):
                self._preview()
            if run.due(settings.evaluate_every) and not last:
                self.evaluate(self.validation)
                better = self.best.update(run.test_metrics, settings.monitor, run.step)
                if self._any(better and self.engine.is_rank_zero):
                    self._save()
            if not last and (run.due(settings.checkpoint_every) or self._overdue()):
                self._save()
            if self.saver.done:
                self._settle()

    def restore(self, step: int, captured: Mapping[str, Packed]) -> None:
        """Go on from a checkpoint.

        Raises:
            BadFile: if it is not one of this trainer.
        """
        state = dict(captured)
        self.meter.load_state_dict(unpack(*state.pop(_METRICS, ({}, {}))))
        self.best = Best(**unpack(*state.pop(_BEST, ({}, {}))))
        self.engine.load_state_dict(unpack(*state.pop(_ENGINE, ({}, {}))))
        self.state.restore(state)
        self.run.step = self.saved_step = step
        self.batches.seek(step)

    def evaluate(self, examples: Callable[[], Iterable[Batch]]) -> None:
        """Measure the model as it is on ``examples``. What it draws follows from the seed alone."""
        run = self.run
        seed_step(run.settings.seed, run.step, self.engine.rank, "evaluate")
        with self.engine.evaluating(self._all_held(), shared=self.distributed_evaluation):
            metrics = run.trainer.evaluate(self._on_device(examples), self._on_device(self.training))
        if metrics:
            run.test_metrics = {name: _metric(name, value) for name, value in metrics.items()}
            self.hooks.call("zoo_evaluated", run=run, step=run.step, metrics=run.test_metrics)

    def _preview(self) -> None:
        """Pictures are no part of a training: one that can't be drawn is the last that is tried."""
        run = self.run
        if not (run.settings.preview_every and self.draws):
            return
        seed_step(run.settings.seed, 0, 0, "preview")
        images = None
        with self.engine.evaluating(self._all_held()):
            if self.engine.is_rank_zero or self.engine.fsdp:  # no process has a divided network for itself
                batch = next(iter(self._on_device(self.preview)), None)
                try:
                    images = None if batch is None else drawable(run.trainer.preview(batch))
                except Exception as error:  # of a plugin's code
                    self.draws = False
                    why = f"the trainer's preview raised {type(error).__name__}: {error}"
                    warnings.warn(f"no more pictures are drawn in this run: {why}", stacklevel=2)
        if images is not None:
            self.hooks.call("zoo_preview", run=run, step=run.step, images=images)

    def _log(self) -> None:
        metrics = self.meter.read()
        if metrics:
            self.run.train_metrics = metrics
            self.hooks.call("zoo_logged", run=self.run, step=self.run.step, metrics=metrics)

    def _save(self) -> None:
        run = self.run
        self.meter.fetch()  # what a checkpoint keeps was seen to be finite
        self._settle()
        if not self._any(self.saved_step != run.step and self.engine.is_rank_zero):
            return
        self._refuse_spoilt()
        if self.engine.is_rank_zero or self.engine.fsdp:  # the parts of a divided network come from all processes
            captured = self.state.capture()
        if self.engine.is_rank_zero:
            kept = {_METRICS: self.meter.state_dict(), _BEST: asdict(self.best), _ENGINE: self.engine.state_dict()}
            packed = {name: pack(state) for name, state in kept.items()}
            self.saver.begin(run.step, {**captured, **packed}, self.best.steps)
        self.saved_step, self.saved_at = run.step, time.monotonic()

    def _settle(self, last: bool = False) -> None:
        """Wait for the checkpoint that is being written. One that could not be is tried again at the next interval."""
        saved = self.saver.wait()
        if saved is None:
            return
        if saved.path is not None:
            self.hooks.call("zoo_checkpoint_saved", run=self.run, step=saved.step, path=saved.path)
            return
        problem = saved.error.message if saved.error else ""
        self.saved_step = -1
        if last:
            raise RunFailed(problem, "Make room, then go on from the last checkpoint with --resume.") from saved.error
        warnings.warn(f"{problem} The training goes on, and the next checkpoint is tried.", stacklevel=2)

    def _all_held(self) -> list[object]:
        return [self.run.model, *vars(self.run.trainer).values()]

    def _overdue(self) -> bool:
        minutes = self.run.settings.checkpoint_minutes
        return bool(minutes) and self._any(time.monotonic() - self.saved_at >= 60 * minutes)

    def _refuse_spoilt(self) -> None:
        """The loss may still have been a number as the weights, a moment later, ceased to be."""
        parameters = dict(self.run.model.named_parameters())
        # One answer for all of them: asking for each would wait for the device as often.
        finite = [local(one).isfinite().all() for one in parameters.values()]
        if finite and not torch.stack(finite).all():
            name = next(name for name, parameter in parameters.items() if not local(parameter).isfinite().all())
            raise RunFailed(
                f"the model's {name} became NaN or infinite by step {self.run.step}.",
                "Lower the learning rate, or clip gradients; the last checkpoint is from before.",
            )

    def _stopping(self) -> bool:
        run = self.run
        agreed = self.engine.process_group.broadcast_first(run.stopping or (run.finishing and _FINISH + run.finishing))
        if agreed.startswith(_FINISH):
            run.finish(agreed.removeprefix(_FINISH))
            run.total_steps = run.step + 1
            return False
        if agreed:
            run.stop(agreed)
        return bool(agreed)  # and not run.stopping, which a signal may set in one process the moment after

    def _any(self, flag: bool) -> bool:
        """Whether any process says so: they save together, or not at all."""
        return bool(self.engine.process_group.broadcast_first("yes" if flag else ""))

    def _on_device(self, batches: Callable[[], Iterable[Batch]]) -> _OnDevice:
        return _OnDevice(batches, self.engine)


def _metric(name: str, value: Any) -> float:
    check_metric(name)
    try:
        return float(value)
    except (TypeError, ValueError) as error:
        raise RunFailed(
            f"the trainer's evaluate gives {describe_type(value)} as '{name}', but should give a number."
        ) from error


@dataclass
class _OnDevice:
    """Batches moved to the device as they are asked for; may be iterated again."""

    batches: Callable[[], Iterable[Batch]]
    engine: AccelerateEngine

    def __iter__(self) -> Any:
        return map(self.engine.to_device, self.batches())
