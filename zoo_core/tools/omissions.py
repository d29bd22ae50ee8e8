"""Verify that a comparison of resumed runs notices every part of the saved state, by leaving out each in turn."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from zoo_core.checkpoint import directory as checkpoint
from zoo_core.checkpoint.names import name_of
from zoo_core.checkpoint.serialize import Packed
from zoo_core.config.recipe import WITHOUT_EVALUATIONS
from zoo_core.errors import RunFailed
from zoo_core.hookspecs import hookimpl
from zoo_core.loggers.jsonl import MetricsFile
from zoo_core.registry.resolve import ResolvedRecipe
from zoo_core.runs.folder import RunFolder
from zoo_core.tools.verify_resume import compare
from zoo_core.training.assemble import try_out
from zoo_core.training.checkpoints import COMPARED
from zoo_core.training.loop import Loop
from zoo_core.weights.values import same_bits

# The run is resumed at step 5, where one step has not been logged yet.
SETTINGS = (
    "run.steps=12",
    "run.checkpoint_every=5",
    "run.log_every=4",
    "run.preview_every=0",
    *WITHOUT_EVALUATIONS,
    "run.keep_checkpoints=9",
)
_NO_BEST = {"step": -1, "value": {"$float": "nan"}}
_RESUMED_AT = 5


@dataclass(frozen=True)
class Omission:
    """A part of the state that was not restored, and what came of it."""

    part: str
    difference: str
    """The first difference from the uninterrupted run; "" if there is none."""
    needless: str
    """Why leaving it out changes nothing; "" if it should change something."""

    @property
    def missed(self) -> bool:
        """Whether the part was needed, and its omission was not noticed."""
        return not (self.difference or self.needless)

    def __str__(self) -> str:
        found = self.difference or (f"not distinguished, since {self.needless}" if self.needless else "NOT NOTICED")
        return f"without {self.part}: {found}"


def leave_out_each(
    resolved: ResolvedRecipe, folder: Path, on_omission: Callable[[Omission], None] = lambda omission: None
) -> list[Omission]:
    """Train ``resolved``, and again from a checkpoint, each time without one part of the state; compare the results.

    They are compared after the next step already: a list of the last few losses is soon the same again.

    The recipe should have the settings :data:`SETTINGS`. Parts are the model, each attribute of the trainer, the modes
    of modules, the metrics not logged yet, the best value of the monitored metric, the state of the gradient scaler,
    the number of the step, the position in the data, and the seeds of the steps.

    Raises:
        RunFailed: if a resumed run differs although nothing was left out.
    """
    whole, resumed = folder / "whole", folder / "resumed"
    _drive(_loop(resolved, whole))
    at = RunFolder(whole).checkpoints / name_of(_RESUMED_AT)
    omissions = []
    parts = [part for part in checkpoint.load(at)[1] if part not in COMPARED]
    for part in ["", *parts, "step", "position", "seeds"]:
        shutil.rmtree(resumed, ignore_errors=True)
        loop = _loop(resolved, resumed)
        shutil.copy(RunFolder(whole).metrics, RunFolder(resumed).metrics)
        initial = _copies(loop.state.capture() | loop.checkpoints.capture_average())
        step, saved = checkpoint.load(at)  # each time, since training changes what was restored
        needless = "it had its initial value" if part in saved and _is_initial(part, saved, initial) else ""
        loop.restore(step, {**saved, part: initial[part]} if part in initial else _without(part, saved))
        if part == "step":
            loop.run.step = 0
        elif part == "position":
            loop.batches.seek(0)
        elif part == "seeds":
            loop.run.settings = replace(loop.run.settings, seed=loop.run.settings.seed + 1)
        _drive(loop)
        difference = compare(whole, resumed)
        if part:
            if part in saved and not difference:
                needless = needless or "the next step sets it again"
            if part == "seeds" and not difference:
                needless = "no step draws random numbers"
            if part == "position" and not loop.batches.per_epoch:
                needless = "the recipe has no dataset"
            omissions.append(Omission(part, difference, needless))
            on_omission(omissions[-1])
        elif difference:
            raise RunFailed(
                f"the run differs from an uninterrupted one although nothing was left out: {difference}.",
                "Keep the trainer's state in attributes without a leading underscore; "
                "draw random numbers in step() only.",
            )
    return omissions


class _SavesAfterTheNextStep:
    """Saves one more checkpoint, of the step after the one that the run is resumed at."""

    loop: Loop

    @hookimpl
    def zoo_step_finished(self, step: int) -> None:
        if step == _RESUMED_AT + 1:
            self.loop.reports.call_all()
            self.loop.checkpoints.save()


def _loop(resolved: ResolvedRecipe, folder: Path) -> Loop:
    saves = _SavesAfterTheNextStep()
    saves.loop = try_out(resolved, folder, [MetricsFile(), saves])
    return saves.loop


def _without(part: str, saved: dict[str, Packed]) -> dict[str, Packed]:
    return {name: packed for name, packed in saved.items() if name != part}


def _drive(loop: Loop) -> None:
    run = loop.run
    loop.callbacks.call("zoo_run_started", run=run)
    with loop.engine.flushing_denormals():
        loop.train()
    loop.callbacks.call("zoo_run_finished", run=run)
    loop.engine.release(run.model)


def _copies(state: dict[str, Packed]) -> dict[str, Packed]:
    return {
        name: ({key: tensor.to("cpu", copy=True) for key, tensor in tensors.items()}, structure)
        for name, (tensors, structure) in state.items()
    }


def _is_initial(part: str, saved: dict[str, Packed], initial: dict[str, Packed]) -> bool:
    """Whether a part was saved with the value that it has before the first step."""
    tensors, structure = saved[part]
    if part not in initial:  # what the run itself keeps, which is empty at first
        return not tensors and isinstance(structure, dict) and (not structure or _NO_BEST.items() <= structure.items())
    before, structure_before = initial[part]
    same = structure == structure_before and tensors.keys() == before.keys()
    return same and all(same_bits(tensor, before[name]) for name, tensor in tensors.items())
