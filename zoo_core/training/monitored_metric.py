"""Finds out before the first step whether an evaluation returns the metric that ``run.monitor`` names."""

from __future__ import annotations

import warnings
from collections.abc import Collection, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from itertools import islice

from torch.nn.modules.lazy import LazyModuleMixin

from zoo_core.checkpoint.best import Monitor
from zoo_core.data.seeding import seed_step
from zoo_core.dataset import Batch
from zoo_core.training.evaluation import Evaluator, as_metrics
from zoo_core.training.object_state import objects_kept
from zoo_core.training.splits import OnDevice, Splits
from zoo_core.training.undisturbed import undisturbed

_FEW = 2  # examples; the statistics of one may be undefined


def check_monitored_metric(evaluator: Evaluator, metric: str | None = None) -> None:
    """Raise BadSetting if no evaluation of the trainer will return ``metric``, or that of ``run.monitor``.

    The names are those that the trainer states (``evaluation_metrics``). Otherwise two examples are evaluated, and then
    all if the metric is not among theirs, such as that of a class which they do not contain. The training is the same
    as without. If that raises an error, the first evaluation of the run will tell.
    """
    run = evaluator.run
    monitor = Monitor(run.settings.monitor) if metric is None else Monitor(metric, "--metric")
    if not monitor.name or run.step >= run.total_steps:
        return
    known = run.trainer.evaluation_metrics()
    if known is not None:
        monitor.refuse_unknown(list(known))
        return
    lazy = any(isinstance(module, LazyModuleMixin) for module in run.model.modules())
    if evaluator.engine.fsdp or lazy:  # a forward pass changes parameters, and the class of a lazy module
        return
    splits = replace(evaluator.splits, distributed=False, copies=None, workers=0)
    names: Collection[str] = ()
    for some in (_Few(replace(splits, batch_size=_FEW * splits.world)), splits):
        found = _names(evaluator, some)
        if found is None or monitor.name in found:
            return
        names = found
    monitor.refuse_unknown(names)


@dataclass(frozen=True)
class _Few:
    """The first batch of each split."""

    splits: Splits

    def validation_batches(self) -> Iterator[Batch]:
        return islice(iter(self.splits.validation_batches()), 1)

    def train_batches(self) -> Iterator[Batch]:
        return islice(iter(self.splits.train_batches()), 1)


def _names(evaluator: Evaluator, splits: _Few | Splits) -> Collection[str] | None:
    """The names of the metrics of an evaluation that leaves no trace; None if it raises an error."""
    run, engine, holders = evaluator.run, evaluator.engine, evaluator.holders()
    batches = (OnDevice(of, engine.to_device) for of in (splits.validation_batches, splits.train_batches))
    with ExitStack() as stack:
        stack.enter_context(evaluator.leaves_state("evaluate"))
        stack.enter_context(objects_kept([run.trainer, run.model]))
        stack.enter_context(undisturbed([run.trainer, *holders]))
        stack.enter_context(engine.evaluating(holders))
        stack.enter_context(warnings.catch_warnings())
        warnings.simplefilter("ignore")  # of what two examples have no value for
        seed_step(run.settings.seed, run.step, engine.rank, "evaluate")
        try:
            return as_metrics(run.trainer.evaluate(*batches), "evaluate").keys()
        except Exception:  # of a plugin's code, which may need more examples: the first evaluation raises it again
            return None
