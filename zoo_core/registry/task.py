"""The interface of a task: what `zoo fit` recognizes in a folder, and the recipe that it plans."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any, ClassVar


@dataclass(frozen=True)
class Finding:
    """What a task has recognized in a folder.

    Parameters
    ----------
    summary : str
        What the folder contains, in one line: ``24 images with masks, in images/ and masks/``.
    details : tuple of str, default ()
        Further facts, one in each line, such as sizes and classes.
    left_out : tuple of str, default ()
        What is not used, and why, one kind of file in each line.
    facts : object, optional
        What `Task.plan` needs; zoo passes it on.
    only_if_chosen : bool, default False
        Whether another task fits the folder better, so that this one is used with ``--task`` only.
    doubt : str, default ""
        Why the folder perhaps means something else, and what to do then: ``GT_1 has the names of masks; …``. The task
        is then used with ``--task`` only, and if no other fits, this is said.
    """

    summary: str
    details: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()
    facts: Any = None
    only_if_chosen: bool = False
    doubt: str = ""


@dataclass(frozen=True)
class Budget:
    """What a training may take.

    Parameters
    ----------
    minutes : float
        Time of the whole command.
    memory : int
        Memory of the process, or of the accelerator, in bytes.
    device : str
        Kind of the device, such as ``cpu`` or ``cuda``.
    """

    minutes: float
    memory: int
    device: str


@dataclass(frozen=True)
class Plan:
    """A recipe, with the reason for each choice.

    Parameters
    ----------
    values : mapping of str to mapping
        The parts of the recipe: ``{"model": {"name": "unet", …}, "dataset": …, "trainer": …, "run": …}``. Leave
        ``run.steps`` out, and zoo measures how many fit into the time.
    reasons : mapping of str to str, optional
        Why a setting has its value, by its name, such as ``model.base_channels``. Written beside it into ``plan.yaml``.
    """

    values: Mapping[str, Mapping[str, Any]]
    reasons: Mapping[str, str] = field(default_factory=dict)


class Task(ABC):
    """A task that `zoo fit` can plan: it recognizes a kind of folder, and chooses a recipe for it.

    Registered with `Registry.task`. It is created without arguments.

    Attributes
    ----------
    given : mapping of str to mapping
        The settings of the command line, such as ``{"dataset": {"ignore_index": 11}}``. They override those of the
        plan; `find` and `plan` may need to know them.
    fallback : bool, default False
        Whether the task looks only at folders that no other task fits, and at those for which ``--task`` names it. For
        a task whose form is also that of others.

    See Also
    --------
    Finding : What `find` returns.
    Plan : What `plan` returns.
    """

    given: Mapping[str, Mapping[str, Any]] = MappingProxyType({})
    fallback: ClassVar[bool] = False

    @abstractmethod
    def find(self, folder: Path) -> Finding | None:
        """Look at a folder, without training anything.

        Parameters
        ----------
        folder : pathlib.Path
            The folder that was given to ``zoo fit``; it exists.

        Returns
        -------
        Finding or None
            What the folder contains; None if it does not have the form that this task is for.

        Raises
        ------
        ZooError
            If it has that form, but can't be used. The message names the file and the cure.
        """

    @abstractmethod
    def plan(self, folder: Path, finding: Finding, budget: Budget) -> Plan:
        """Choose a recipe for a folder.

        Parameters
        ----------
        folder : pathlib.Path
            The folder.
        finding : Finding
            What `find` returned for it.
        budget : Budget
            What the training may take.

        Returns
        -------
        Plan
            The recipe.
        """
