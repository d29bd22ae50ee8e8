"""A run: what hooks see of a training."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zoo_core.config.recipe import Recipe
from zoo_core.config.run_settings import RunSettings
from zoo_core.errors import BadSetting, one_line
from zoo_core.runs.folder import RunFolder

if TYPE_CHECKING:
    import torch

    from zoo_core.model import Model
    from zoo_core.trainer import Trainer

TIME_LIMIT = "the time limit"
LAUNCHER_ENDED = "the end of the process that started it"
"""Why a run in several processes stops if the process that started them was killed."""


class StopCode(IntEnum):
    """Why a run ends before its last step, as a number that its processes exchange."""

    RUNNING = 0
    FINISHED = 1
    STOPPED = 2
    SIGINT = 3
    SIGTERM = 4
    TIME_LIMIT = 5
    SIGHUP = 6
    LAUNCHER_ENDED = 7


_REASONS = {
    StopCode.FINISHED: "another process",
    StopCode.STOPPED: "another process",
    StopCode.SIGINT: "SIGINT",
    StopCode.SIGTERM: "SIGTERM",
    StopCode.SIGHUP: "SIGHUP",
    StopCode.TIME_LIMIT: TIME_LIMIT,
    StopCode.LAUNCHER_ENDED: LAUNCHER_ENDED,
}
_CODES = {name: code for code, name in _REASONS.items() if name != _REASONS[StopCode.STOPPED]}


def _reason(given: Any, method: str) -> str:
    """A reason in one line, which is a part of messages and files."""
    if not isinstance(given, str) or not given.strip():
        raise BadSetting(
            f"run.{method} is given {given!r:.60}, but should be given a reason as text.",
            f'Write for example run.{method}("the loss no longer decreases").',
        )
    return one_line(given)


@dataclass(repr=False)
class Run:
    """One training: its recipe, its folder, how far it is, and its last metrics.

    Attributes
    ----------
    recipe : Recipe
        What is run: ``recipe.name``, ``recipe.values``, ``recipe.settings("trainer")``.
    settings : RunSettings
        The recipe's part ``run``, checked: ``settings.batch_size``.
    folder : RunFolder
        The files of the run.
    model : Model
        What is trained. A hook may read its parameters.
    trainer : Trainer
        How it is trained.
    device : torch.device
        Where the model is.
    total_steps : int
        Steps of the whole run.
    steps_per_epoch : int
        Steps of one epoch; 0 if the recipe has no dataset.
    step : int
        Steps that are done.
    train_metrics : dict of str to float
        The mean of every metric that a step reports, as last logged.
    validation_metrics : dict of str to float
        The last evaluation on the validation split, which takes place every ``run.evaluate_every`` steps but not after
        the last step. Empty until then.
    test_metrics : dict of str to float
        The evaluation on the test split at the end of the run. Empty until then.
    weights_step : int
        The step whose weights are evaluated on the test split and published: the last one, or with
        ``run.load_best_at_end`` the best one. 0 until the end of the run.
    stopping : str
        Why the run stops before its last step, or "".
    finishing : str
        Why its last step comes earlier than the recipe says, or "".
    """

    recipe: Recipe
    settings: RunSettings
    folder: RunFolder
    model: Model
    trainer: Trainer
    device: torch.device
    total_steps: int
    steps_per_epoch: int
    step: int = 0
    train_metrics: dict[str, float] = field(default_factory=dict)
    validation_metrics: dict[str, float] = field(default_factory=dict)
    test_metrics: dict[str, float] = field(default_factory=dict)
    weights_step: int = 0
    stopping: str = ""
    finishing: str = ""

    def __repr__(self) -> str:
        state = f"stopped by {self.stopping}" if self.stopping else f"step {self.step:,} of {self.total_steps:,}"
        return f"<Run {self.name} in {self.path}: {state}>"

    @property
    def path(self) -> Path:
        """The folder of the run."""
        return self.folder.path

    @property
    def name(self) -> str:
        """The name of the recipe."""
        return self.recipe.name

    @property
    def epoch(self) -> float:
        """Epochs that are done, with their fraction; 0 if the recipe has no dataset."""
        return self.step / self.steps_per_epoch if self.steps_per_epoch else 0.0

    def stop(self, reason: str) -> None:
        """End the run after the current step.

        The run saves a checkpoint and can be resumed later with ``--resume``.

        Parameters
        ----------
        reason : str
            What stops it, as the end of "stopped by".

        Raises
        ------
        BadSetting
            If the reason is no text, or empty.
        """
        self.stopping = self.stopping or _reason(reason, "stop")

    def finish(self, reason: str) -> None:
        """Make the next step the last one.

        The run then counts as done: it is evaluated on the test split, and its weights can be published. If it is
        resumed, it continues to the last step of the recipe.

        Parameters
        ----------
        reason : str
            Why the run is done, for the report at its end.

        Raises
        ------
        BadSetting
            If the reason is no text, or empty.

        Examples
        --------
        >>> @zoo.hookimpl
        ... def zoo_evaluated(self, run, step, metrics):
        ...     if metrics["loss"] > self.best:
        ...         run.finish("the loss no longer decreases")
        """
        self.finishing = self.finishing or _reason(reason, "finish")

    @property
    def stop_code(self) -> StopCode:
        """Why the run ends now, as a number: a stop takes precedence over a finish."""
        if self.stopping:
            return _CODES.get(self.stopping, StopCode.STOPPED)
        return StopCode.FINISHED if self.finishing else StopCode.RUNNING

    def apply(self, code: StopCode) -> None:
        """Stop or finish the run for the reason of a code, which may be that of another process.

        Parameters
        ----------
        code : StopCode
            The code.
        """
        if code is StopCode.FINISHED:
            self.finish(_REASONS[code])
        elif code is not StopCode.RUNNING:
            self.stop(_REASONS[code])

    def due(self, every: int) -> bool:
        """Return whether an interval of steps ends with the current step.

        Parameters
        ----------
        every : int
            Interval in steps; 0 never ends.

        Returns
        -------
        bool
            Whether ``step`` is a multiple of ``every``.
        """
        return bool(every) and self.step % every == 0

    def result(self) -> dict[str, Any]:
        """Return the outcome of the run as plain values.

        Returns
        -------
        dict
            ``recipe``, ``folder``, ``step``, ``weights_step``, ``stopped``, ``train_metrics``,
            ``validation_metrics`` and ``test_metrics``.
        """
        return {
            "recipe": self.name,
            "folder": str(self.path),
            "step": self.step,
            "weights_step": self.weights_step,
            "stopped": self.stopping,
            "train_metrics": self.train_metrics,
            "validation_metrics": self.validation_metrics,
            "test_metrics": self.test_metrics,
        }
