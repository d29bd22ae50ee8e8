"""Whether a run that is killed and resumed is the run that was not: bit for bit, wherever the kill falls.

Runs are processes forked from one that has imported torch, so that a kill costs no start.
"""

from __future__ import annotations

import multiprocessing
import os
import random
import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import zip_longest
from multiprocessing.context import ForkServerContext, SpawnContext
from multiprocessing.process import BaseProcess
from pathlib import Path

import torch

from zoo_core.checkpoint import directory as checkpoint
from zoo_core.errors import RunFailed
from zoo_core.runs.folder import RunFolder
from zoo_core.weights.format import read_tensors

_PATIENCE = 600.0  # seconds that a run of a few steps may take before it is said to hang


@dataclass(frozen=True)
class Kill:
    """One kill, and the step of the newest checkpoint then; -1 if there was none."""

    step: int


@dataclass(frozen=True)
class Verdict:
    """What came of it. ``difference`` names the first thing that is not the same, or is "" where all is."""

    kills: list[Kill]
    runs: int
    """Killed runs that were gone on with to their end and compared."""
    difference: str


def verify(
    recipe: str,
    words: list[str],
    kills: int,
    folder: Path,
    draw: random.Random,
    told: Callable[[Kill], None] = lambda kill: None,
) -> Verdict:
    """Train ``recipe`` as it is, and again with kills at random moments and resumed after each, and compare.

    Raises:
        RunFailed: if a run does not end by itself.
    """
    whole, broken = folder / "whole", folder / "killed"
    process, began = _begin(recipe, words, whole, resume=False), time.time()
    _wait_for_a_sign(process, whole)
    signed = time.time()
    _finish(process, whole)
    trained = (whole / "checkpoints").stat().st_mtime  # as the last was put there
    steps = sorted(_steps(whole))
    pace = _Pace(steps, signed - began, (trained - signed) / len(steps), time.time() - trained)
    felt: list[Kill] = []
    runs = unsettled = 0
    while len(felt) < kills or unsettled:
        process = _begin(recipe, words, broken, resume=RunFolder(broken).config.is_file())
        if len(felt) < kills and _kill(process, broken, pace, draw):
            felt.append(Kill(max(_steps(broken), default=-1)))
            unsettled += 1
            told(felt[-1])
            continue
        _finish(process, broken)
        if unsettled:
            difference = compare(whole, broken)
            runs, unsettled = runs + 1, 0
            if difference:
                return Verdict(felt, runs, difference)
        shutil.rmtree(broken)
    return Verdict(felt, runs, "")


@dataclass(frozen=True)
class _Pace:
    """The checkpoints of an undisturbed run, and the seconds to its first sign of life, a checkpoint, and its end."""

    checkpoints: list[int]
    start: float
    checkpoint: float
    ending: float


def _kill(process: BaseProcess, folder: Path, pace: _Pace, draw: random.Random) -> bool:
    """Kill the process at a random moment; False if it ended first.

    One kill in five falls before a sign of life, one in ten while the result is measured and written. The others fall
    behind a checkpoint that is drawn, and not at a time that is: a run beside a busy neighbor has another pace.
    """
    chosen, newest = draw.random(), max(_steps(folder), default=-1)
    behind = [step for step in (-1, *pace.checkpoints[:-1]) if step >= newest]
    if chosen < 0.2:
        process.join(draw.uniform(0, pace.start))
    elif chosen < 0.3 or not behind:
        _wait_for_checkpoint(process, folder, pace.checkpoints[-1])
        process.join(draw.uniform(0, pace.ending))
    else:
        _wait_for_a_sign(process, folder)
        _wait_for_checkpoint(process, folder, draw.choice(behind))
        process.join(draw.uniform(0, pace.checkpoint))
    if process.exitcode is not None:
        return False
    process.kill()
    process.join()
    return True


def _wait_for_a_sign(process: BaseProcess, folder: Path) -> None:
    """Until the run has written something, or ended."""
    before = _touched(folder)
    while process.exitcode is None and _touched(folder) == before:
        process.join(0.005)


def _wait_for_checkpoint(process: BaseProcess, folder: Path, step: int) -> None:
    """Until the run has that of ``step`` or a later one, or has ended."""
    while process.exitcode is None and max(_steps(folder), default=-1) < step:
        process.join(0.005)


def _touched(folder: Path) -> list[int]:
    return [path.stat().st_mtime_ns for path in (folder / "metrics.jsonl", folder / "checkpoints") if path.exists()]


def compare(one: Path, other: Path) -> str:
    """The first difference of the checkpoints that both runs have, of their results, and of their metrics; or ""."""
    for step in sorted(set(_steps(one)) & set(_steps(other))):
        name = f"checkpoints/step-{step:09d}"
        (_, left), (_, right) = checkpoint.load(one / name), checkpoint.load(other / name)
        for held in sorted(left.keys() | right.keys()):
            if held not in left or held not in right:
                return f"at step {step}, {held} is in one checkpoint alone"
            difference = _first_difference(left[held][0], right[held][0])
            if difference or left[held][1] != right[held][1]:
                return f"at step {step}, {held}{difference and '.'}{difference} differs"
    difference = _first_difference(read_tensors(one / "model.safetensors"), read_tensors(other / "model.safetensors"))
    if difference:
        return f"in the result, {difference} differs"
    lines = [(run / "metrics.jsonl").read_text(encoding="utf-8").splitlines() for run in (one, other)]
    for number, (left_line, right_line) in enumerate(zip_longest(*lines, fillvalue="nothing"), 1):
        if left_line != right_line:
            return f"metrics.jsonl differs in line {number}: {left_line} and {right_line}"
    return ""


def _first_difference(left: dict[str, torch.Tensor], right: dict[str, torch.Tensor]) -> str:
    for name in sorted(left.keys() | right.keys()):
        if name not in left or name not in right or not _same(left[name], right[name]):
            return name
    return ""


def _same(one: torch.Tensor, other: torch.Tensor) -> bool:
    """Bit for bit, which NaN is too."""
    return one.dtype == other.dtype and one.shape == other.shape and one.numpy().tobytes() == other.numpy().tobytes()


def _steps(run: Path) -> Iterator[int]:
    return (int(path.name.removeprefix("step-")) for path in (run / "checkpoints").glob("step-*"))


def _begin(recipe: str, words: list[str], folder: Path, resume: bool) -> BaseProcess:
    """A process that trains; it hears nothing of a terminal, and what it says goes to a file beside the run."""
    if not resume:
        shutil.rmtree(folder, ignore_errors=True)
    context: ForkServerContext | SpawnContext = multiprocessing.get_context("spawn")
    if os.name == "posix":
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(["zoo_core.training.runner", "zoo_core.loggers"])
    process = context.Process(target=_train, args=(recipe, words, str(folder), resume))
    process.start()
    return process


def _finish(process: BaseProcess, folder: Path) -> None:
    process.join(_PATIENCE)
    if process.exitcode is None:
        process.kill()
        raise RunFailed(f"the run in {folder} has not ended after {_PATIENCE:.0f} s.")
    if process.exitcode:
        log = _log(folder)
        lines = log.read_text(encoding="utf-8").splitlines() if log.is_file() else []
        said = [line for line in lines if line and not line[0].isspace()]  # neither a traceback's lines nor a cure
        raise RunFailed(f"the run in {folder} ended with exit code {process.exitcode}: {said[-1] if said else ''}")


def _train(recipe: str, words: list[str], folder: str, resume: bool) -> None:
    """What the process does: as `zoo run`, without a progress line."""
    from zoo_core.loggers import standard
    from zoo_core.registry.catalog import Catalog
    from zoo_core.registry.resolve import resolve
    from zoo_core.training.runner import run_recipe

    here = Catalog()
    with _log(Path(folder)).open("a", encoding="utf-8") as log:
        os.dup2(log.fileno(), 1)
        os.dup2(log.fileno(), 2)
        run_recipe(resolve(here.recipe(recipe, *words), here), standard(), Path(folder), resume)


def _log(folder: Path) -> Path:
    return folder.with_name(f"{folder.name}.log")
