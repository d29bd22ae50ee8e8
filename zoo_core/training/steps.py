"""How the steps of a run are performed: as they are, or as a CUDA graph where that is possible."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import NoReturn, Protocol

from zoo_core.checkpoint.gradients import WATCHED_STEPS
from zoo_core.dataset import Batch
from zoo_core.engine.cuda_graph import CapturedSteps, CudaGraphs
from zoo_core.engine.engine import AccelerateEngine
from zoo_core.errors import RunFailed
from zoo_core.runs.run import Run
from zoo_core.trainer import Metrics


class Steps(Protocol):
    """Performs the steps of a run."""

    def __call__(self, batch: Batch) -> Metrics:
        """Perform one step, as ``Trainer.step``."""

    def hold(self, batch: Batch, parts: int) -> Batch:
        """The batch that is divided into ``parts``, each of which is passed to a step."""


def perform_steps(run: Run, engine: AccelerateEngine) -> Steps:
    """The steps of a run on its device.

    Raises:
        RunFailed: if ``run.cuda_graph`` is "on", but the steps can't be captured.
    """
    setting, why_not = run.settings.cuda_graph, engine.why_not_captured
    if why_not and setting == "on":
        _refuse(run, why_not)
    expected = engine.device.type != "cuda" or engine.uses_own_graphs
    if why_not and setting == "auto" and not expected and engine.is_rank_zero:
        _warn(run, why_not)
    return _AsTheyAre(run) if why_not or setting == "off" else _Captured(run, engine)


@dataclass(frozen=True)
class _AsTheyAre:
    run: Run

    def __call__(self, batch: Batch) -> Metrics:
        return self.run.trainer.step(batch)

    def hold(self, batch: Batch, parts: int) -> Batch:
        return batch


class _Captured:
    def __init__(self, run: Run, engine: AccelerateEngine) -> None:
        self._run = run
        note = self._refuse if run.settings.cuda_graph == "on" else self._warn
        self.steps = CapturedSteps(run.trainer, CudaGraphs(engine.device), lambda: engine.part_of_batch, note)

    def __call__(self, batch: Batch) -> Metrics:
        return self.steps(batch, may_capture=self._run.step >= WATCHED_STEPS)

    def hold(self, batch: Batch, parts: int) -> Batch:
        return batch if parts == 1 else self.steps.hold(batch)

    def _refuse(self, why: str) -> NoReturn:
        _refuse(self._run, why)

    def _warn(self, why: str) -> None:
        _warn(self._run, why)


def _refuse(run: Run, why: str) -> NoReturn:
    raise RunFailed(
        f"run.cuda_graph is 'on', but the step of {_trainer(run)} cannot be captured: {why}.",
        "Move work of the host to after_step(), or write `run.cuda_graph=auto`.",
    )


def _warn(run: Run, why: str) -> None:
    warnings.warn(
        f"the step of {_trainer(run)} is not captured as a CUDA graph, which would be faster: {why}; "
        "run.cuda_graph=off accepts that.",
        stacklevel=2,
    )


def _trainer(run: Run) -> str:
    return f"the trainer '{run.recipe.component('trainer')}'"
