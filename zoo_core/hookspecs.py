"""Everything a plugin may do. A plugin is a module or object with some of these functions, marked ``@zoo.hookimpl``.

A function may leave out arguments it does not need. A misspelt hook is refused as the plugin is loaded; a hook of a
newer zoo may be marked ``@zoo.hookimpl(optionalhook=True)``, and an older one passes over it.

The life-cycle hooks (``zoo_run_started`` and on) are called on the main process only, in the order they stand here.
A plugin that raises in one of them is switched off for the rest of the run with a warning that names it; the training
goes on, and checkpoints do not depend on any of them. Wrappers are not taken there. ``zoo.run(…, callbacks=[thing])``
takes any object with such methods for one run; ``ZOO_TRACE=1`` prints each call.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import pluggy

from zoo_core.errors import BrokenPlugin

if TYPE_CHECKING:
    import click
    from torch import Tensor

    from zoo_core.registry.registry import Registry
    from zoo_core.runs.run import Run

hookspec = pluggy.HookspecMarker("zoo")
hookimpl = pluggy.HookimplMarker("zoo")


def refuse_unmarked(manager: pluggy.PluginManager, plugin: object, whose: str) -> None:
    """Raises BrokenPlugin if ``plugin`` has a function that is called as a hook, but not marked: it is never called."""
    called = (name for name in dir(manager.hook) if name.startswith("zoo_") and callable(getattr(plugin, name, None)))
    for name in called:
        if all(one.plugin is not plugin for one in getattr(manager.hook, name).get_hookimpls()):
            raise BrokenPlugin(
                f"{whose} has {name}, which is not marked as a hook, and would never be called.",
                "Write `@zoo.hookimpl` above it.",
            )


@hookspec(historic=True)
def zoo_register(registry: Registry) -> None:
    """Hand over your names. Called once, as the plugin is loaded; must not import torch, since ``zoo list`` calls it.

        @zoo.hookimpl
        def zoo_register(registry):
            registry.model("autoencoder", "zoo_autoencoder.model:Autoencoder", summary="A small denoising autoencoder")
            registry.recipes(Path(__file__).parent / "registry.yaml")

    If it raises, what it had handed over before is taken back.
    """


@hookspec
def zoo_commands(cli: click.Group) -> None:
    """Add sub-commands to ``cli``. Called for ``zoo --help`` and when a command is not one of zoo's own."""


@hookspec
def zoo_fetch(location: str, destination: Path, size: int) -> Path | None:
    """Bring the weights file at ``location`` (``scheme://…``) to ``destination``; None if the scheme is not yours.

    ``destination`` may hold the beginning of the file already, which an earlier call brought. What should come has
    ``size`` bytes; its hash is compared afterwards. zoo itself brings https:// and hf://, for which nobody is asked.
    """


@hookspec
def zoo_run_started(run: Run) -> None:
    """Model, data and trainer are built; no step is done. After a resume ``run.step`` is not 0."""


@hookspec
def zoo_step_finished(run: Run, step: int, metrics: Mapping[str, Tensor]) -> None:
    """One optimization step is done. ``metrics`` are 0-d tensors still on the device: reading one waits for it."""


@hookspec
def zoo_logged(run: Run, step: int, metrics: Mapping[str, float]) -> None:
    """Every ``run.log_every`` steps and after the last: each metric's mean since the last call, read once for all.

    Reading from the device is what costs, so a logger listens here. A run that is stopped in between logs nothing then;
    its checkpoint keeps what was reported, and resumed it logs the mean of the whole interval.
    """


@hookspec
def zoo_evaluated(run: Run, step: int, metrics: Mapping[str, float]) -> None:
    """``trainer.evaluate`` has measured the model as it is after ``step`` steps.

    Every ``run.evaluate_every`` steps on the data set's validation examples, at the end on its evaluation examples. A
    name with a slash (``mse/3``) is a detail, which zoo's own listeners keep but do not print.
    """


@hookspec
def zoo_preview(run: Run, step: int, images: Tensor) -> None:
    """What ``trainer.preview`` drew: ``pictures`` (N, C, H, W), or clips (N, T, C, H, W), in [0, 1] on the CPU.

    A listener that wants pictures only looks at ``pictures.ndim``.
    """


@hookspec
def zoo_checkpoint_saved(run: Run, step: int, path: Path) -> None:
    """A whole checkpoint of ``step`` lies in the folder ``path``.

    It was written beside the training: ``run.step`` may be further on. ``path`` is gone when newer ones take its place.
    """


@hookspec
def zoo_run_finished(run: Run) -> None:
    """The run has ended, or was stopped (``run.stopping`` says why); the result is on disk."""


@hookspec
def zoo_run_failed(run: Run, error: BaseException) -> None:
    """The run ends on ``error``; what it had is already on disk."""
