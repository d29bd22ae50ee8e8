"""The error with which a run ends, and its exit code."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NoReturn

from zoo_core.config.command_line import shown
from zoo_core.errors import RunFailed, RunStopped, ZooError
from zoo_core.runs.run import Run
from zoo_core.training.error_attribution import attribute_error, hint_for, is_from_outside


def settle_exit_code(error: BaseException, run: Run) -> None:
    """After exit code 2 nothing is written: a new run that is refused in its first step leaves no folder.

    The same error in a later step is the failure of a run, which is kept.
    """
    if not isinstance(error, ZooError) or isinstance(error, RunFailed | RunStopped):
        return
    if not (run.step == 0 and run.folder.discard()):
        _say_where(error, run)
        error.exit_code = RunFailed.exit_code


def raise_as_run_failed(error: BaseException, run: Run, classes: Mapping[str, type[Any]]) -> NoReturn:
    """Raise ``error`` again, as RunFailed where it says too little by itself."""
    if not isinstance(error, ZooError) and not is_from_outside(error):
        raise RunFailed(
            f"{attribute_error(error, classes)}, after step {run.step}.",
            f"{hint_for(error, '--traceback shows where.')} The run is in {shown(run.path)}.",
        ) from error
    if isinstance(error, RunFailed):
        _say_where(error, run)
    raise error


def _say_where(error: ZooError, run: Run) -> None:
    error.hint = f"{error.hint or ''} The run is in {shown(run.path)}.".strip()
