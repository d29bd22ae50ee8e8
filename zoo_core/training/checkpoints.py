"""The checkpoints of a run: when one is written, what is in it, and what is restored from it."""

from __future__ import annotations

import time
import warnings
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict
from typing import Any

import torch
from torch import nn

from zoo_core.checkpoint import directory
from zoo_core.checkpoint.best import Best, Monitor, Patience
from zoo_core.checkpoint.gradients import PendingGradients
from zoo_core.checkpoint.names import name_of
from zoo_core.checkpoint.objects import objects_in
from zoo_core.checkpoint.serialize import Packed, pack, unpack
from zoo_core.checkpoint.state import TrainerState
from zoo_core.checkpoint.writer import AsyncCheckpointWriter
from zoo_core.config.command_line import shown
from zoo_core.engine.engine import AccelerateEngine
from zoo_core.engine.fsdp import local
from zoo_core.engine.optimizers import fit_to_device
from zoo_core.errors import BadFile, RunFailed, one_line
from zoo_core.runs.run import Run
from zoo_core.training.callbacks import CallbackList
from zoo_core.training.freeze import Frozen
from zoo_core.training.metrics import MetricAccumulator
from zoo_core.training.weight_average import WeightAverage
from zoo_core.weights.values import all_finite

# Beside the attributes of a trainer, none of which can have these names.
_METRICS, _BEST, _ENGINE, _GRADIENTS = "run.metrics", "run.best", "run.engine", "run.gradients"
_AVERAGE, _PATIENCE = "run.average", "run.patience"
_MONITOR = "monitor"  # in the state of the best
COMPARED = RECIPE, ORIGINS = "run.recipe", "run.origins"
"""What is compared when a run is resumed, and not restored."""


class Checkpoints:
    """Saves and restores what a run needs to be resumed. Leaving the block waits for the writer."""

    def __init__(
        self,
        run: Run,
        engine: AccelerateEngine,
        state: TrainerState,
        metrics: MetricAccumulator,
        callbacks: CallbackList,
        frozen: Frozen,
        average: WeightAverage | None = None,
    ) -> None:
        self.run, self.engine, self.state = run, engine, state
        self.metrics, self.callbacks, self.frozen, self.average = metrics, callbacks, frozen, average
        self.best, self.patience = Best(), Patience()
        self.origins: dict[str, Any] = {}  # what environment.json says of data, code and machine
        self.writer = AsyncCheckpointWriter(
            run.folder.checkpoints, run.settings.keep_checkpoints, sync_first=[run.folder.metrics]
        )
        held = {"model": run.model, **vars(run.trainer)}
        objects = [found for name, value in held.items() for found in objects_in(name, value)]
        modules = {path: engine.unwrap(one) for path, one in objects if isinstance(one, nn.Module)}
        # Those of a sharded network are not kept. Hooks would make torch.compile compile again.
        self.gradients = PendingGradients({} if engine.fsdp else modules, watches=run.settings.compile == "off")
        self.saved_step = -1
        self.saved_at = time.monotonic()

    def __enter__(self) -> Checkpoints:
        self.writer.__enter__()
        return self

    def __exit__(self, *raised: Any) -> None:
        self.writer.__exit__(*raised)

    def save(self) -> None:
        """Begin to write a checkpoint of this step, unless it has one; the training need not wait for it."""
        run = self.run
        self.metrics.fetch()  # what a checkpoint keeps is known to be finite
        self.settle()
        if not self._any_process(self.saved_step != run.step and self.engine.is_rank_zero):
            return
        self._refuse_not_finite()
        self.check_frozen()
        if self.engine.is_rank_zero or self.engine.fsdp:  # the parts of a sharded network come from all processes
            captured = self.state.capture()
        if self.engine.is_rank_zero:
            kept: dict[str, Any] = {
                _METRICS: self.metrics.state_dict(),
                _BEST: {**asdict(self.best), _MONITOR: run.settings.monitor},
                _ENGINE: self.engine.state_dict(),
                RECIPE: run.recipe.as_yaml(),
                ORIGINS: self.origins,
            }
            if run.settings.monitor:
                kept[_PATIENCE] = asdict(self.patience)
            if gradients := self.gradients.state_dict(run.step):
                kept[_GRADIENTS] = gradients
            self._restore_folder()
            packed = {name: pack(state) for name, state in kept.items()} | self.capture_average()
            self.writer.begin(run.step, {**captured, **packed}, self.best.steps)
        self.saved_step, self.saved_at = run.step, time.monotonic()

    def capture_average(self) -> dict[str, Packed]:
        """The part of a checkpoint with the average of the weights, if there is one."""
        return {_AVERAGE: pack(self.average.state_dict())} if self.average else {}

    def update_best(self) -> bool:
        """Compare the last validation by ``run.monitor``, and return whether it is the best one yet."""
        return self.best.update(self.run.validation_metrics, Monitor(self.run.settings.monitor), self.run.step)

    def load_best(self) -> int:
        """Put back the weights of the best checkpoint, after the last step, and return its step.

        Where no evaluation had a value that can be compared, they stay those of the last step, which is said.

        Raises:
            BadFile: if the checkpoint is damaged or missing.
        """
        run, best = self.run, self.best
        step = self.engine.process_group.broadcast_first(best.step)
        if step == run.step:
            return step
        if step < 0:
            name = Monitor(run.settings.monitor).name
            warnings.warn(
                f"no evaluation with run.monitor={run.settings.monitor} had a finite {name}, so the weights of step "
                f"{run.step:,}, the last one, are published.",
                stacklevel=2,
            )
            return run.step
        last, saved = run.step, self.saved_step
        try:
            self.restore(step, directory.load(run.folder.checkpoints / name_of(step))[1])
        except BadFile as error:
            error.hint = "Publish the weights of the last step: resume the run with run.load_best_at_end=false."
            raise
        run.step, self.saved_step, self.best = last, saved, best
        return step

    def save_if(self, better: bool) -> None:
        """Save if the last validation is ``better`` than all before, which the first process decides."""
        if self._any_process(better and self.engine.is_rank_zero):
            self.save()

    def overdue(self) -> bool:
        """Whether ``run.checkpoint_minutes`` have passed since the last checkpoint, in any process."""
        minutes = self.run.settings.checkpoint_minutes
        return bool(minutes) and self._any_process(time.monotonic() - self.saved_at >= 60 * minutes)

    def settle_if_done(self) -> None:
        """Report a checkpoint that has been written, without waiting for one that has not."""
        if self.writer.done:
            self.settle()

    def settle(self, last: bool = False) -> None:
        """Wait for the checkpoint that is being written. After a failure the next one is tried, but for the last.

        Raises:
            RunFailed: if the last one could not be written.
        """
        saved = self.writer.wait()
        if saved is None:
            return
        if saved.path is not None:
            self.callbacks.call("zoo_checkpoint_saved", run=self.run, step=saved.step, path=saved.path)
            return
        message = saved.error.message if saved.error else ""
        self.saved_step = -1
        if last:
            raise RunFailed(message, "Make room, then resume from the last checkpoint with --resume.") from saved.error
        warnings.warn(f"{message} The training continues, and the next checkpoint is tried.", stacklevel=2)

    def restore(self, step: int, captured: Mapping[str, Packed]) -> None:
        """Put back what a checkpoint of ``step`` holds.

        Raises:
            BadFile: if it is not one of this trainer.
        """
        state = dict(captured)
        try:
            for name in COMPARED:
                state.pop(name, None)
            self.metrics.load_state_dict(unpack(*state.pop(_METRICS, ({}, {}))))
            self._restore_best(unpack(*state.pop(_BEST, ({}, {}))), unpack(*state.pop(_PATIENCE, ({}, {}))))
            self.engine.load_state_dict(unpack(*state.pop(_ENGINE, ({}, {}))))
            self.gradients.load_state_dict(unpack(*state.pop(_GRADIENTS, ({}, {}))))
            if self.average:
                self.average.load_state_dict(unpack(*state.pop(_AVERAGE)))
            self.state.restore(state)
            fit_to_device(vars(self.run.trainer).values(), self.engine.device)
        except (LookupError, TypeError, AttributeError) as error:
            raise BadFile(
                f"the checkpoint of step {step} does not fit: {one_line(repr(error))}.",
                "Resume with the recipe and the plugin version that wrote the checkpoint.",
            ) from error
        self.run.step = self.saved_step = step

    def _restore_best(self, best: Mapping[str, Any], patience: Mapping[str, Any]) -> None:
        """Those of another metric say nothing of the one that the run monitors now."""
        values, monitor = dict(best), self.run.settings.monitor
        if values.pop(_MONITOR, monitor) == monitor:
            self.best, self.patience = Best(**values), Patience(**patience)

    def _restore_folder(self) -> None:
        """Write the run's folder again if it was deleted: a checkpoint can't be resumed without its settings."""
        folder = self.run.folder
        if folder.config.exists():
            return
        renamed = folder.renamed_to()
        with suppress(OSError):  # which the checkpoint then reports
            folder.restore(self.run.recipe.as_yaml())
            what = f"renamed to {shown(renamed)}" if renamed else "deleted, emptied or moved"
            kept = "is in that folder" if renamed else "is not in it"
            warnings.warn(
                f"{shown(folder.path)} was {what} during the run; what was written before step {self.run.step} {kept}. "
                "It is written again, so that the run can be resumed.",
                stacklevel=2,
            )

    def _refuse_not_finite(self) -> None:
        """The loss may still have been finite when the update that followed made a parameter infinite."""
        self.refuse_not_finite(
            f"at step {self.run.step}",
            "Lower the learning rate, or clip gradients; the last checkpoint is from before.",
        )

    def refuse_not_finite(self, when: str, hint: str) -> None:
        """Raise RunFailed if a parameter of the model is NaN or infinite ``when`` something has happened."""
        parameters = dict(self.run.model.named_parameters())
        # One answer for all of them: asking for each would wait for the device as often.
        finite = [all_finite(local(one)) for one in parameters.values()]
        if finite and not torch.stack(finite).all():
            name = next(name for name, parameter in parameters.items() if not all_finite(local(parameter)))
            raise RunFailed(
                f"the model's {name} is not finite {when}.",
                hint,
            )

    def check_frozen(self) -> None:
        """Raise RunFailed if the trainer has changed what ``run.freeze`` freezes."""
        self.frozen.check(f"the trainer '{self.run.recipe.component('trainer')}'")

    def _any_process(self, flag: bool) -> bool:
        """Whether ``flag`` is true in any process: they save together, or not at all."""
        return bool(self.engine.process_group.broadcast_first(int(flag)))
