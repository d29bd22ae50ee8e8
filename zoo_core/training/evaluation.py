"""Evaluation and previews of the model that a run trains."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from zoo_core.checkpoint.digest import StateDigest
from zoo_core.checkpoint.state import TrainerState
from zoo_core.data.seeding import seed_step
from zoo_core.data.values import as_preview, clipped, images_of, unsuitable
from zoo_core.dataset import Batch
from zoo_core.engine.engine import AccelerateEngine
from zoo_core.errors import RunFailed, describe_type, raised
from zoo_core.runs.run import Run
from zoo_core.training.callbacks import CallbackList
from zoo_core.training.error_attribution import is_from_outside, method_of
from zoo_core.training.metrics import check_metric
from zoo_core.training.reports import Reports
from zoo_core.training.splits import OnDevice, Splits
from zoo_core.training.undisturbed import undisturbed
from zoo_core.training.weight_average import WeightAverage


@dataclass
class Evaluator:
    """Evaluates a run's model on a split, and draws its previews."""

    run: Run
    engine: AccelerateEngine
    splits: Splits
    state: TrainerState
    callbacks: CallbackList
    reports: Reports
    average: WeightAverage | None = None
    """The average of the model's weights, which is measured in their place."""
    draws: bool = True
    """Whether previews are still drawn: the first one that fails is the last that is tried."""
    clips: bool = False
    """Whether a preview had values that its picture does not show, which is warned of once."""
    undefined: set[str] = field(default_factory=set)
    """Metrics that were NaN or infinite in an evaluation, each of which is warned of once."""

    def validate(self) -> dict[str, float]:
        """Evaluate on the validation split."""
        self.run.validation_metrics = self._evaluate("validation", self.splits.validation_batches)
        return self.run.validation_metrics

    def test(self) -> dict[str, float]:
        """Evaluate on the test split."""
        self.run.test_metrics = self._evaluate("test", self.splits.test_batches)
        return self.run.test_metrics

    def preview(self) -> None:
        """Draw a preview. An error in it is a warning: it ends the previews, and not the run."""
        run = self.run
        if not (run.settings.preview_every and self.draws):
            return
        values: dict[str, Any] = {}
        failure, digest = "", self._digest()
        with self._measuring():
            seed_step(run.settings.seed, 0, 0, "preview")
            if self.engine.is_rank_zero or self.engine.fsdp:  # no process has a sharded network for itself
                batch = next(iter(self._on_device(self.splits.preview_batches)), None)
                try:
                    values = {} if batch is None else as_preview(run.trainer.preview(batch))
                    failure = unsuitable(values)
                except BaseException as error:  # of a plugin's code
                    if is_from_outside(error):
                        raise
                    failure = f"raised {raised(error)}"
        self._refuse_change(digest, "preview", failure)
        source = source_of(run, "preview")
        if failure:
            self.draws = False
            warnings.warn(f"no more previews are drawn in this run: {source} {failure}", stacklevel=2)
        elif values:
            if not self.clips and (unseen := clipped(values)):
                self.clips = True
                warnings.warn(f"{source} {unseen}.", stacklevel=2)
            self.reports.add(run.step, partial(self._report_preview, run.step, values))

    def _report_preview(self, step: int, values: Mapping[str, Any]) -> None:
        self.callbacks.call("zoo_preview", run=self.run, step=step, images=images_of(values), values=values)

    def _evaluate(self, split: str, batches: Callable[[], Iterable[Batch]]) -> dict[str, float]:
        """Evaluate the model as it is. What the trainer draws for it follows from the seed and the step alone.

        There is nothing to evaluate on a split without examples, which was warned of before the first step.
        """
        run = self.run
        if not self.splits.can_evaluate(split):
            return {}
        with self.leaves_state("evaluate"), self._measuring(shared=self.splits.distributed):
            seed_step(run.settings.seed, run.step, self.engine.rank, "evaluate")
            given = run.trainer.evaluate(self._on_device(batches), self._on_device(self.splits.train_batches))
        metrics = as_metrics(given, source_of(run, "evaluate"))
        self._warn_of_undefined(split, metrics)
        if metrics:
            self.callbacks.call("zoo_evaluated", run=run, step=run.step, metrics=metrics)
        return metrics

    @contextmanager
    def _measuring(self, *, shared: bool = False) -> Iterator[None]:
        average = self.average.applied() if self.average else nullcontext()
        holders = self.holders()
        with undisturbed([self.run.trainer, *holders]), average, self.engine.evaluating(holders, shared=shared):
            yield

    def _warn_of_undefined(self, split: str, metrics: Mapping[str, float]) -> None:
        new = {name: value for name, value in metrics.items() if not math.isfinite(value)}
        new = {name: value for name, value in new.items() if name not in self.undefined and "/" not in name}
        self.undefined |= new.keys()
        if new and self.engine.is_rank_zero:
            listed = ", ".join(f"{name} is {value}" for name, value in new.items())
            monitored = self.run.settings.monitor.removeprefix("-") in new
            ignored = " It cannot be the best by run.monitor." if monitored else ""
            warnings.warn(f"evaluated on the {split} split at step {self.run.step}, {listed}.{ignored}", stacklevel=2)

    @contextmanager
    def leaves_state(self, method: str) -> Iterator[None]:
        """Context of a call of ``method`` of the trainer, which must not change what is trained."""
        digest = self._digest()
        yield
        self._refuse_change(digest, method)

    def _digest(self) -> StateDigest | None:
        """The state before it is measured; None for a sharded network, which a forward pass puts together."""
        return None if self.engine.fsdp else StateDigest(self.state)

    def _refuse_change(self, digest: StateDigest | None, method: str, failure: str = "") -> None:
        """Raise RunFailed if ``method`` of the trainer has changed what is trained, and said nothing about it.

        Its effect on the training would depend on how often the run is measured.
        """
        if change := digest.change() if digest else "":
            before = f"{failure}, having changed" if failure else "changes"
            raise RunFailed(
                f"{method} of the trainer '{self.run.recipe.component('trainer')}' {before} {change}.",
                "Put it back in `finally:`, or change a copy; an attribute such as self._name is no state of the run.",
            )

    def holders(self) -> list[object]:
        """What an evaluation may disturb."""
        return [self.run.model, *vars(self.run.trainer).values()]

    def _on_device(self, batches: Callable[[], Iterable[Batch]]) -> OnDevice:
        return OnDevice(batches, self.engine.to_device)


def source_of(run: Run, method: str) -> str:
    """What errors call a method of a run's trainer, with where it is defined."""
    return method_of("trainer", run.recipe.component("trainer"), run.trainer, method)


def as_metrics(given: Any, source: str) -> dict[str, float]:
    """What ``source``, an evaluate(), returned as metrics.

    Raises:
        RunFailed: if it is no mapping from names to numbers.
    """
    if not isinstance(given, Mapping):
        raise RunFailed(
            f"{source} returns {describe_type(given)}, but should return a mapping from names to numbers.",
            "Return {} if there is nothing to measure.",
        )
    return {name: _as_float(name, value, source) for name, value in given.items()}


def _as_float(name: Any, value: Any, source: str) -> float:
    check_metric(name, source)
    try:
        if isinstance(value, (str, bytes)):
            raise TypeError
        return float(value)
    except OverflowError as error:
        raise RunFailed(
            f"{source} gives an integer as '{name}' that is too large for a float.", "Give a number below 1e308."
        ) from error
    except (TypeError, ValueError, RuntimeError) as error:  # RuntimeError: a tensor of several numbers
        raise RunFailed(
            f"{source} gives {describe_type(value)} as '{name}', but should give a number.",
            "Write for example float(value), or value.mean().item() for a tensor of several numbers.",
        ) from error
