"""Verify that a run that is killed at random moments and resumed gives bit for bit the result of an uninterrupted run.

Runs are forked from a process that has imported torch, so that a restart after a kill is fast.
"""

from __future__ import annotations

import multiprocessing
import os
import random
import re
import shutil
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass
from itertools import zip_longest
from multiprocessing.context import ForkServerContext, SpawnContext
from multiprocessing.process import BaseProcess
from pathlib import Path

import torch

from zoo_core.checkpoint import directory as checkpoint
from zoo_core.checkpoint.names import name_of, steps_in
from zoo_core.errors import BadSetting, RunFailed
from zoo_core.runs.folder import RunFolder
from zoo_core.weights.format import read_tensors
from zoo_core.weights.values import same_bits

_MORE = 5  # kills that are tried beyond the number asked for, until one is while saving
_TIMEOUT = 600.0  # seconds after which a run of a few steps is considered to hang


@dataclass(frozen=True)
class Kill:
    """One kill."""

    step: int
    """The step of the newest checkpoint at that moment; -1 if there was none."""
    saving: bool = False
    """Whether the process was writing a checkpoint."""


@dataclass(frozen=True)
class Verdict:
    """The result of a verification."""

    kills: list[Kill]
    runs: int
    """The number of killed runs that were resumed to the end and compared."""
    difference: str
    """The first difference that was found; "" if there is none."""


def verify(
    recipe: str,
    overrides: list[str],
    kills: int,
    folder: Path,
    rng: random.Random,
    on_kill: Callable[[Kill], None] = lambda kill: None,
) -> Verdict:
    """Train ``recipe`` uninterrupted, and again with kills at random moments and a resume after each, and compare.

    Raises:
        BadSetting: if the run writes no checkpoint before its end, from which it could be resumed.
        RunFailed: if a run does not end by itself.
    """
    reference, killed = folder / "whole", folder / "killed"
    process, start = _start(recipe, overrides, reference, resume=False), time.time()
    _wait_for_output(process, reference)
    first_output = time.time()
    _wait_for_end(process, reference)
    last_checkpoint = (reference / "checkpoints").stat().st_mtime
    steps = sorted(steps_in(reference / "checkpoints"))
    if len(steps) < 2:
        raise BadSetting(
            f"the run writes one checkpoint only, at its end in step {steps[-1]}, so no resumed run would train on.",
            "Write for example `run.checkpoint_every=5`, or train for more steps.",
        )
    per_checkpoint = (last_checkpoint - first_output) / len(steps)
    timing = _Timing(steps, first_output - start, per_checkpoint, time.time() - last_checkpoint)
    done: list[Kill] = []
    runs = kills_of_run = 0
    while (missing := _missing(done, kills, steps)) or kills_of_run:
        process = _start(recipe, overrides, killed, resume=RunFolder(killed).config.is_file())
        # A random moment is seldom one of saving: if none of a few kills was, the last one is.
        saving = missing == 1 and not any(kill.saving for kill in done)
        from_checkpoint = missing == 1 and not _continues(done, steps)
        if missing and _kill(process, killed, timing, rng, saving=saving, from_checkpoint=from_checkpoint):
            done.append(Kill(max(steps_in(killed / "checkpoints"), default=-1), _is_saving(killed)))
            kills_of_run += 1
            on_kill(done[-1])
            continue
        _wait_for_end(process, killed)
        if kills_of_run:
            difference = compare(reference, killed)
            runs, kills_of_run = runs + 1, 0
            if difference:
                return Verdict(done, runs, difference)
        shutil.rmtree(killed)
    return Verdict(done, runs, "")


@dataclass(frozen=True)
class _Timing:
    """The checkpoint steps of the uninterrupted run, and the seconds that its phases took."""

    checkpoints: list[int]
    start: float
    """Until the first output."""
    checkpoint: float
    """From one checkpoint to the next."""
    end: float
    """From the last checkpoint to the end of the process."""


def _missing(done: list[Kill], kills: int, checkpoints: list[int]) -> int:
    """How many kills are still to come: a few more than ``kills`` if a kind of kill has not happened yet."""
    if len(done) >= kills and not (any(kill.saving for kill in done) and _continues(done, checkpoints)):
        return int(len(done) < kills + _MORE)
    return max(kills - len(done), 0)


def _continues(done: list[Kill], checkpoints: list[int]) -> bool:
    """Whether a run was trained from a checkpoint, and not only from its start. Nothing else shows what is lost."""
    return any(0 < kill.step < checkpoints[-1] for kill in done)


def _kill(
    process: BaseProcess,
    folder: Path,
    timing: _Timing,
    rng: random.Random,
    *,
    saving: bool,
    from_checkpoint: bool,
) -> bool:
    """Kill the process at a random moment, or while it writes a checkpoint if ``saving``; False if it ended first.

    With ``from_checkpoint`` it has a checkpoint then from which it has to train on; a run past them is left to end.

    One kill in five happens before the first output, one in five while a checkpoint is written, one in ten while the
    result is evaluated and written. The others happen after a random checkpoint and not at a random time, since the
    speed of a run depends on the load.
    """
    chosen, newest = rng.random(), max(steps_in(folder / "checkpoints"), default=-1)
    candidates = [
        step for step in (-1, *timing.checkpoints[:-1]) if step >= newest and (step > 0 or not from_checkpoint)
    ]
    if from_checkpoint and not candidates:
        return False  # the next run has some again
    if saving and candidates:
        _wait_for_output(process, folder)
        _wait_for_checkpoint(process, folder, rng.choice(candidates))
        _wait_for_saving(process, folder)
    elif chosen < 0.2 and not from_checkpoint:
        process.join(rng.uniform(0, timing.start))
    elif (chosen < 0.3 and not from_checkpoint) or not candidates:
        _wait_for_checkpoint(process, folder, timing.checkpoints[-1])
        process.join(rng.uniform(0, timing.end))
    else:
        _wait_for_output(process, folder)
        _wait_for_checkpoint(process, folder, rng.choice(candidates))
        if chosen < 0.5:
            _wait_for_saving(process, folder)
            process.join(rng.uniform(0, 0.005))
        else:
            process.join(rng.uniform(0, timing.checkpoint))
    if process.exitcode is not None:
        return False
    process.kill()
    process.join()
    return True


def _wait_for_output(process: BaseProcess, folder: Path) -> None:
    """Wait until the run has written metrics or a checkpoint, or has ended."""
    before = _modification_times(folder)
    while process.exitcode is None and _modification_times(folder) == before:
        process.join(0.005)


def _wait_for_checkpoint(process: BaseProcess, folder: Path, step: int) -> None:
    """Wait until the run has the checkpoint of ``step`` or a later one, or has ended."""
    while process.exitcode is None and max(steps_in(folder / "checkpoints"), default=-1) < step:
        process.join(0.005)


def _wait_for_saving(process: BaseProcess, folder: Path) -> None:
    """Wait until the run writes a checkpoint, or has ended."""
    while process.exitcode is None and not _is_saving(folder):
        process.join(0.0002)


def _is_saving(folder: Path) -> bool:
    """Whether a checkpoint is being written, or was when the process was killed."""
    return any((folder / "checkpoints").glob(".step-*"))


def _modification_times(folder: Path) -> list[int]:
    return [path.stat().st_mtime_ns for path in (folder / "metrics.jsonl", folder / "checkpoints") if path.exists()]


def compare(one: Path, other: Path, ignore: Collection[str] = ()) -> str:
    """The first difference between the common checkpoints, the results and the metrics of two runs; "" if none.

    ``ignore`` has the keys of a checkpoint that may differ, such as "run.recipe" of runs with different settings.

    Two runs without results, because they were stopped, are equal if the rest is.
    """
    for step in sorted(set(steps_in(one / "checkpoints")) & set(steps_in(other / "checkpoints"))):
        name = f"checkpoints/{name_of(step)}"
        (_, left), (_, right) = checkpoint.load(one / name), checkpoint.load(other / name)
        for key in sorted((left.keys() | right.keys()) - set(ignore)):
            if key not in left or key not in right:
                return f"at step {step}, {key} is in only one of the checkpoints"
            difference = _first_difference(left[key][0], right[key][0])
            if difference or left[key][1] != right[key][1]:
                return f"at step {step}, {key}{difference and '.'}{difference} differs"
    weights = [RunFolder(run).weights for run in (one, other)]
    if any(path.exists() for path in weights):
        difference = _first_difference(*map(read_tensors, weights))
        if difference:
            return f"in the result, {difference} differs"
    lines = [(run / "metrics.jsonl").read_text(encoding="utf-8").splitlines() for run in (one, other)]
    for number, (left_line, right_line) in enumerate(zip_longest(*lines, fillvalue="nothing"), 1):
        if left_line != right_line:
            return f"metrics.jsonl differs in line {number}: {left_line} and {right_line}"
    return ""


def _first_difference(left: dict[str, torch.Tensor], right: dict[str, torch.Tensor]) -> str:
    for name in sorted(left.keys() | right.keys()):
        if name not in left or name not in right or not same_bits(left[name], right[name]):
            return name
    return ""


def _start(recipe: str, overrides: list[str], folder: Path, resume: bool) -> BaseProcess:
    """Start a process that trains; its output goes to a log file next to the run folder."""
    if not resume:
        shutil.rmtree(folder, ignore_errors=True)
    context: ForkServerContext | SpawnContext = multiprocessing.get_context("spawn")
    if os.name == "posix":
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(["zoo_core.training.runner", "zoo_core.loggers"])
    process = context.Process(target=_train, args=(recipe, overrides, str(folder), resume))
    process.start()
    return process


def _wait_for_end(process: BaseProcess, folder: Path) -> None:
    process.join(_TIMEOUT)
    if process.exitcode is None:
        process.kill()
        raise RunFailed(f"the run in {folder} has not ended after {_TIMEOUT:.0f} s.")
    if process.exitcode:
        log = _log(folder)
        lines = log.read_text(encoding="utf-8").splitlines() if log.is_file() else []
        messages = [line for line in lines if line and not line[0].isspace()]  # without traceback lines and hints
        last = re.sub(r"^zoo_core[\w.]*\.\w+: ", "", messages[-1]) if messages else ""
        raise RunFailed(f"the run ended with exit code {process.exitcode}: {last}", _hint_after(lines, messages))


def _hint_after(lines: list[str], messages: list[str]) -> str | None:
    """The line after the last message, which is its hint if it is indented."""
    following = "".join(lines[len(lines) - lines[::-1].index(messages[-1]) :][:1]) if messages else ""
    return following.strip() if following[:1].isspace() else None


def _train(recipe: str, overrides: list[str], folder: str, resume: bool) -> None:
    """Train as `zoo run` does, without a progress line. This runs in the started process."""
    from zoo_core.loggers import standard
    from zoo_core.registry.catalog import Catalog
    from zoo_core.registry.process_exit import exit_as_before, raise_instead_of_exit
    from zoo_core.registry.resolve import resolve
    from zoo_core.training.runner import run_recipe

    here = Catalog()
    with _log(Path(folder)).open("a", encoding="utf-8") as log:
        os.dup2(log.fileno(), 1)
        os.dup2(log.fileno(), 2)
        raise_instead_of_exit()
        try:
            run_recipe(resolve(here.recipe(recipe, *overrides), here), standard(), Path(folder), resume)
        finally:
            exit_as_before()


def _log(folder: Path) -> Path:
    return folder.with_name(f"{folder.name}.log")
