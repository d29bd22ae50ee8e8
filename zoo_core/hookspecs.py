"""The hooks that a plugin may implement.

A plugin is a module or an object that has some of these functions, each marked with ``@zoo.hookimpl``. An
implementation may leave out arguments that it does not use. A marked function whose name is not that of a hook is an
error when the plugin is loaded, unless it is marked with ``@zoo.hookimpl(optionalhook=True)``: versions of zoo that do
not have the hook then ignore it.

The life-cycle hooks, from `zoo_run_started` to `zoo_run_failed`, are called in the main process only (rank 0). If a
plugin raises an error in one of them, a warning names the plugin, and none of its hooks is called again in this run;
training and checkpoints are not affected. Wrappers (``wrapper=True``) are not supported there.

``zoo.run(..., callbacks=[obj])`` adds an object with such methods to one run. ``ZOO_TRACE=1`` prints each call.
"""

from __future__ import annotations

from collections.abc import Mapping
from inspect import isasyncgenfunction, iscoroutinefunction, isgeneratorfunction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pluggy

from zoo_core.errors import BrokenPlugin

if TYPE_CHECKING:
    import click
    from torch import Tensor

    from zoo_core.data.values import Value
    from zoo_core.registry.registry import Registry
    from zoo_core.runs.run import Run

hookspec = pluggy.HookspecMarker("zoo")
hookimpl = pluggy.HookimplMarker("zoo")


def refuse_unmarked(manager: pluggy.PluginManager, plugin: object, owner: str) -> None:
    """Raise BrokenPlugin if ``plugin`` has a function with the name of a hook that is not marked as one."""
    for name, _ in _named_as_hooks(plugin):
        if all(one.plugin is not plugin for one in getattr(manager.hook, name).get_hookimpls()):
            raise BrokenPlugin(
                f"{owner} has {name}, which is not marked as a hook, and would never be called.",
                "Write `@zoo.hookimpl` above it.",
            )
    refuse_not_run(plugin, owner)


def refuse_not_run(plugin: object, owner: str) -> None:
    """Raise BrokenPlugin if calling a hook of ``plugin`` would not run it."""
    for name, function in _named_as_hooks(plugin):
        marks = getattr(function, "zoo_impl", {})
        wraps = marks.get("wrapper") or marks.get("hookwrapper")
        if (
            iscoroutinefunction(function)
            or isasyncgenfunction(function)
            or (isgeneratorfunction(function) and not wraps)
        ):
            raise BrokenPlugin(
                f"{owner} has {name}, which is a coroutine or a generator, and would never run.",
                "Write it as a plain function.",
            )


def _named_as_hooks(plugin: object) -> list[tuple[str, Any]]:
    found = ((name, getattr(plugin, name, None)) for name in globals() if name.startswith("zoo_"))
    return [(name, function) for name, function in found if callable(function)]


@hookspec(historic=True)
def zoo_register(registry: Registry) -> None:
    """Called when the plugin is loaded, to register models, trainers, datasets and recipes.

    Called once. Must not import torch, since ``zoo list`` calls it. If it raises an error, nothing that it registered
    is kept.

    Parameters
    ----------
    registry : Registry
        The registry.

    Examples
    --------
    >>> @zoo.hookimpl
    ... def zoo_register(registry: zoo.Registry) -> None:
    ...     registry.model("autoencoder", "zoo_autoencoder.model:Autoencoder", summary="A small autoencoder")
    ...     registry.recipes(Path(__file__).parent / "registry.yaml")
    """


@hookspec
def zoo_commands(cli: click.Group) -> None:
    """Called for ``zoo --help`` and for an unknown command, to add sub-commands to ``zoo``.

    Parameters
    ----------
    cli : click.Group
        The command group.

    Examples
    --------
    >>> @zoo.hookimpl
    ... def zoo_commands(cli: click.Group) -> None:
    ...     cli.add_command(click.Command("hello", callback=lambda: click.echo("Hello")))
    """


@hookspec
def zoo_fetch(location: str, destination: Path, size: int) -> Path | None:
    """Called to download a weights file from another location than ``https://`` and ``hf://``.

    The SHA-256 of the file is checked afterwards.

    Parameters
    ----------
    location : str
        Address of the file, ``scheme://...``.
    destination : pathlib.Path
        Where to write the file. It may contain the first part of the file, from an earlier call that was interrupted.
    size : int
        Expected size of the file in bytes.

    Returns
    -------
    pathlib.Path or None
        ``destination``, or None if the plugin does not handle the scheme.
    """


@hookspec
def zoo_run_started(run: Run) -> None:
    """Called before the first step, when model, dataset and trainer are set up.

    Parameters
    ----------
    run : Run
        The run. ``run.step`` is 0, or the number of completed steps in a resumed run.
    """


@hookspec
def zoo_step_finished(run: Run, step: int, metrics: Mapping[str, Tensor]) -> None:
    """Called after each optimization step.

    Parameters
    ----------
    run : Run
        The run.
    step : int
        Number of completed steps.
    metrics : mapping of str to torch.Tensor
        What `Trainer.step` returned, or the mean of what it returned for the parts of a batch: 0-d tensors on the
        device. With several processes they are those of the first one. Reading their values waits for the device; use
        `zoo_logged` where that is enough.
    """


@hookspec
def zoo_logged(run: Run, step: int, metrics: Mapping[str, float]) -> None:
    """Called with the mean training metrics, every ``run.log_every`` steps and after the last step.

    A run that is stopped between two calls logs nothing then. Its checkpoint contains the metrics so far, and the
    resumed run logs the mean of the whole interval.

    On an accelerator the call comes some steps later, so that the device goes on computing meanwhile; ``run.step`` is
    then larger than ``step``.

    Parameters
    ----------
    run : Run
        The run.
    step : int
        Number of completed steps that the metrics are of.
    metrics : mapping of str to float
        Mean of each metric since the previous call.
    """


@hookspec
def zoo_evaluated(run: Run, step: int, metrics: Mapping[str, float]) -> None:
    """Called with the metrics that `Trainer.evaluate` returned.

    These are the validation metrics every ``run.evaluate_every`` steps, and the test metrics at the end of the run.

    Parameters
    ----------
    run : Run
        The run.
    step : int
        Number of completed steps.
    metrics : mapping of str to float
        Metrics by name. Metrics with a slash in their names (``mse/3``) are details; zoo records them, but does not
        print them.
    """


@hookspec
def zoo_preview(run: Run, step: int, images: Tensor | None, values: Mapping[str, Value]) -> None:
    """Called with each preview that `Trainer.preview` returned; on an accelerator some steps later, as `zoo_logged`.

    Parameters
    ----------
    run : Run
        The run.
    step : int
        Number of completed steps that the preview is of.
    images : torch.Tensor or None
        The images ``(N, C, H, W)`` or clips ``(N, T, C, H, W)`` in [0, 1], on the CPU, if the preview is nothing else;
        ``images.ndim`` tells which. None for a preview of another kind, or of several values.
    values : mapping of str to value
        The values by name; a preview that is no mapping is one value with the name ``""``. Each is a string, a
        `zoo.Table`, a `zoo.Audio`, or a tensor on the CPU: images, clips, a class map ``(H, W)`` of dtype uint8, or an
        array.
    """


@hookspec
def zoo_checkpoint_saved(run: Run, step: int, path: Path) -> None:
    """Called when a checkpoint is complete.

    Checkpoints are written in the background, so ``run.step`` may be greater than ``step``.

    Parameters
    ----------
    run : Run
        The run.
    step : int
        Number of completed steps in the checkpoint.
    path : pathlib.Path
        Folder of the checkpoint. It is deleted when newer checkpoints replace it (``run.keep_checkpoints``).
    """


@hookspec
def zoo_run_finished(run: Run) -> None:
    """Called when the run is finished or was stopped, after its weights were written.

    Parameters
    ----------
    run : Run
        The run. ``run.stopping`` is the reason if it was stopped, otherwise empty.
    """


@hookspec
def zoo_run_failed(run: Run, error: BaseException) -> None:
    """Called when the run ends with an error.

    Parameters
    ----------
    run : Run
        The run. Its last checkpoint is on disk.
    error : BaseException
        The error.
    """
