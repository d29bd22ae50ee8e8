"""The training loop: a batch in, ``trainer.step``, hooks out."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import closing, nullcontext
from functools import partial

from zoo_core.checkpoint.serialize import Packed
from zoo_core.checkpoint.state import TrainerState
from zoo_core.data.loader import Batches
from zoo_core.data.no_data import EmptyBatches
from zoo_core.data.seeding import seed_step
from zoo_core.data.workers import LoadingStopped
from zoo_core.dataset import Batch
from zoo_core.engine.engine import AccelerateEngine
from zoo_core.engine.held import held_optimizers
from zoo_core.engine.shutdown import end_on_signals_again
from zoo_core.errors import one_line
from zoo_core.optim.averages import publish_averages
from zoo_core.runs.run import Run, StopCode
from zoo_core.trainer import Metrics
from zoo_core.training.callbacks import CallbackList
from zoo_core.training.checkpoints import Checkpoints
from zoo_core.training.early_stopping import EarlyStopping
from zoo_core.training.evaluation import Evaluator, source_of
from zoo_core.training.freeze import Frozen
from zoo_core.training.metrics import MetricAccumulator
from zoo_core.training.profiling import StepProfiler
from zoo_core.training.reports import LATER, Reports
from zoo_core.training.signals import Interrupted, interruptible, raises_run_stopped
from zoo_core.training.splits import Splits
from zoo_core.training.steps import perform_steps
from zoo_core.training.weight_average import average_of


class Loop:
    """Drives a run's trainer from ``run.step`` to its last step. However it ends, what was done is on disk."""

    def __init__(
        self,
        run: Run,
        engine: AccelerateEngine,
        batches: Batches | EmptyBatches,
        splits: Splits,
        state: TrainerState,
        callbacks: CallbackList,
        frozen: Frozen,
    ) -> None:
        self.average = average_of(run)
        self.run, self.engine, self.batches, self.splits = run, engine, batches, splits
        self.state, self.callbacks, self.frozen = state, callbacks, frozen
        self.metrics = MetricAccumulator(engine.mean, source_of(run, "step"))
        self.reports = Reports(LATER if engine.runs_ahead else 0)
        self.evaluator = Evaluator(run, engine, splits, state, callbacks, self.reports, self.average)
        self.perform = perform_steps(run, engine)
        self.profiler = StepProfiler(run) if run.settings.profile != "" and engine.is_rank_zero else None
        self.checkpoints = Checkpoints(run, engine, state, self.metrics, callbacks, frozen, self.average)
        self.early_stopping = EarlyStopping(run, self.checkpoints)
        batches.stopping = lambda: bool(run.stopping)

    def train(self) -> None:
        """Train to the last step, or until something stops the run. A checkpoint is on disk when this returns.

        Raises:
            RunFailed: if the last checkpoint could not be written.
            RunStopped: if a step failed because of a signal.
        """
        self.frozen.remember()
        with self.checkpoints, closing(self.batches), self.profiler or nullcontext():
            try:
                with raises_run_stopped(self.run):
                    self._steps()
                    self.reports.call_all()
            except BaseException as error:
                self._report_despite(error)
                self.checkpoints.settle()
                raise
            self.checkpoints.save()
            self.checkpoints.settle(last=True)

    def finalize(self) -> None:
        """Give the model the weights that are published, after the last step."""
        with self.frozen.kept():
            publish_averages(held_optimizers(vars(self.run.trainer).values()))
            self.run.trainer.finalize()
            if self.average:
                self.average.apply()

    def restore(self, step: int, captured: Mapping[str, Packed]) -> None:
        """Continue from a checkpoint of ``step``.

        Raises:
            BadFile: if it is not one of this trainer.
        """
        self.checkpoints.restore(step, captured)
        self.batches.seek(step)
        self.early_stopping.restore()

    def _steps(self) -> None:
        run = self.run
        first = run.step + 1
        while run.step < run.total_steps:
            if self.profiler:
                self.profiler.before(run.step + 1)
            batch = self._loaded()
            end_on_signals_again()
            if self._stops():
                break
            if batch is None:  # only this process was told to stop
                batch = self.batches.wait()
            metrics = self.step(batch, first)
            self.engine.check_in_step(run.step, [run.model, *vars(run.trainer).values()])
            if run.step == first:
                self.state.check()  # what a step added to the trainer, a checkpoint must be able to keep as well
                self.checkpoints.check_frozen()
            self.callbacks.call("zoo_step_finished", run=run, step=run.step, metrics=metrics)
            if self.profiler:
                self.profiler.after(run.step)
            self._after_step(last=run.step == run.total_steps)

    def step(self, batch: Batch, first: int) -> Metrics:
        """Train on one batch, and do nothing else. ``first`` is the number of the first step of this session."""
        run = self.run
        metrics: Metrics = {}
        seed_step(run.settings.seed, run.step, self.engine.rank)
        parts = self.engine.grad_accumulation_steps
        self.engine.may_read = self.engine.device.type == "cpu" or run.step < first + 1
        with self.checkpoints.gradients.watch(run.step + 1):
            for part in self.engine.in_parts(self.perform.hold(self.engine.to_device(batch), parts)):
                found = self.perform(part)
                self.metrics.add(run.step + 1, found)
                metrics = (
                    found if parts == 1 else {key: metrics.get(key, 0) + one / parts for key, one in found.items()}
                )
        run.trainer.after_step()
        run.step += 1
        if self.average:
            self.average.update(run.step)
        return metrics

    def _report_despite(self, error: BaseException) -> None:
        """Report what was computed before ``error``, which may be one of the device."""
        try:
            self.reports.call_all()
        except Exception as other:
            error.add_note(f"The metrics of the steps before it are lost: {one_line(str(other))}")

    def _loaded(self) -> Batch | None:
        """The next batch, or None if the run stops before it is made, which may take long."""
        # Processes that train together have to stop at the same step.
        waiting = interruptible(self.run) if self.engine.world == 1 else nullcontext()
        try:
            with waiting:
                return None if self.run.stopping else next(self.batches)
        except (LoadingStopped, Interrupted):
            return None

    def _after_step(self, last: bool) -> None:
        run, settings = self.run, self.run.settings
        if last or run.due(settings.log_every):
            self._log()
        if last or run.due(settings.preview_every):
            self.evaluator.preview()
        # The last step is evaluated on the test split, and on the validation split only to compare it with the others.
        if (run.due(settings.evaluate_every) and not last) or (last and settings.monitor):
            self.reports.call_all()
            self.evaluator.validate()
            better = self.checkpoints.update_best()
            self.early_stopping.update()  # before the checkpoint, which contains its count
            self.checkpoints.save_if(better)
        if not last and (run.due(settings.checkpoint_every) or self.checkpoints.overdue()):
            self.reports.call_all()  # the lines of metrics until then belong to a checkpoint
            self.checkpoints.save()
        self.checkpoints.settle_if_done()
        self.reports.call_due(run.step)

    def _log(self) -> None:
        self.reports.call_all()
        self.metrics.request()
        self.reports.add(self.run.step, partial(self._report, self.run.step))

    def _report(self, step: int) -> None:
        metrics = self.metrics.read()
        if metrics:
            self.run.train_metrics = dict(metrics)
            self.callbacks.call("zoo_logged", run=self.run, step=step, metrics=metrics)

    def _stops(self) -> bool:
        """Whether the run ends before the next step, which all processes decide alike."""
        run = self.run
        # Not run.stopping below: a signal may set it in one process after the processes have agreed.
        code = StopCode(self.engine.process_group.broadcast_first(run.stop_code))
        run.apply(code)
        if code is StopCode.FINISHED:
            run.total_steps = run.step + 1
            return False
        return code is not StopCode.RUNNING
