"""From a recipe to a finished run: resolve, build, drive, report."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pluggy

from zoo_core.checkpoint import directory as checkpoint
from zoo_core.config.recipe import Recipe, read_config
from zoo_core.engine.engine import AccelerateEngine
from zoo_core.engine.fsdp import full_tensor
from zoo_core.engine.memory import explain_out_of_memory
from zoo_core.errors import ProcessLost, RunFailed, ZooError
from zoo_core.model import Model
from zoo_core.registry.catalog import Catalog
from zoo_core.registry.resolve import complete, resolve
from zoo_core.runs.folder import RunFolder
from zoo_core.runs.paths import RUNS, new_path
from zoo_core.runs.resume_changes import changes, told
from zoo_core.runs.run import Run
from zoo_core.training.assemble import apart, assemble
from zoo_core.training.callbacks import CallbackList
from zoo_core.training.environment import environment
from zoo_core.training.error_attribution import attribute_error, attributing_errors
from zoo_core.training.loop import Loop
from zoo_core.training.signals import stops_after, stops_on_signal
from zoo_core.weights import format as weights_format
from zoo_core.weights.metadata import weights_metadata


def run_recipe(
    recipe: Recipe,
    catalog: Catalog,
    callbacks: Iterable[object] = (),
    folder: Path | None = None,
    resume: bool = False,
    seconds: float | None = None,
) -> Run:
    """Train ``recipe`` in a new folder, or go on in the ``folder`` of a run that was stopped, for so many ``seconds``.

    Raises:
        ZooError: if the recipe asks for what is not there, or a run that goes on for what it did not begin with;
            nothing is written then.
        RunFailed: if the training itself fails; what it had is on disk.
    """
    settings = recipe.run_settings()
    resolved = resolve(recipe, catalog)
    engine = AccelerateEngine(settings)
    place = RunFolder(folder or new_path(RUNS, recipe.name))
    if not engine.process_group.all_equal(int(resume)):
        raise RunFailed(
            "some processes go on with a run, and others begin one.",
            f"{place.path} should lie on a file system that all machines share.",
        )
    classes = {f"the {part} '{recipe.component(part)}'": one for part, (one, _) in resolved.items()}
    changed = changes(complete(read_config(place.config), catalog), recipe) if resume else {}
    if not resume and engine.is_rank_zero:
        place.create()
    with place.locked() if engine.is_rank_zero else nullcontext():
        try:
            listening = catalog.plugins.manager if engine.is_rank_zero else pluggy.PluginManager("zoo")
            hooks = CallbackList(listening, callbacks if engine.is_rank_zero else ())
            with attributing_errors(classes, ", before the first step"):
                loop, notes, data = assemble(recipe, resolved, settings, engine, place, hooks)
            if resume:
                changed |= _other_processes(place, engine)
                notes += [*_restore(loop), *told(changed)]
                _keep_account(loop, changed)
            elif engine.is_rank_zero:
                about = environment(catalog, recipe, engine.device, engine.precision, data, notes)
                place.write_environment({**about, "processes": engine.world})
                place.write_config(recipe.as_yaml())
        except BaseException:
            if not resume and engine.is_rank_zero:
                place.remove_if_empty()
            raise
        for note in notes:
            warnings.warn(note, stacklevel=2)
        with stops_after(loop.run, seconds):
            _drive(loop, classes)
    engine.close()
    return loop.run


def resume_run(path: Path, catalog: Catalog, callbacks: Iterable[object] = ()) -> Run:
    """Go on with the run in the folder ``path`` from its newest whole checkpoint, with the settings it has."""
    recipe = complete(read_config(RunFolder(path).config), catalog)
    return run_recipe(recipe, catalog, callbacks, path, resume=True)


def evaluate(
    recipe: Recipe, model: Model, step: int, catalog: Catalog, *, validation: bool = False
) -> tuple[dict[str, float], dict[str, Any], list[str]]:
    """The figures of ``model``, as a run of ``recipe`` measures them after ``step`` steps; the data, and warnings.

    They are of the evaluation examples, or of those for ``validation``.
    Nothing is written, and no plugin's life-cycle hooks are called: this is no run.
    """
    loop, notes, data = apart(recipe, catalog, Path(), (), model)
    loop.run.step = step
    with loop.engine.flushing_denormals(), explain_out_of_memory(loop.run):
        loop.evaluate(loop.validation if validation else loop.evaluation)
    loop.engine.release(model)
    loop.engine.close()
    return loop.run.test_metrics, data, notes


def _restore(loop: Loop) -> list[str]:
    place = loop.run.folder.checkpoints
    if not checkpoint.any_in(place):
        return [f"{place} holds no checkpoint yet, so the run begins again."]
    step, captured, damaged = checkpoint.load_newest(place)
    loop.restore(step, captured)
    if not loop.engine.process_group.all_equal(step):
        raise RunFailed(
            f"the processes do not see the same checkpoints: this one begins at step {step}.",
            f"{loop.run.path} should lie on a file system that all machines share.",
        )
    return damaged


def _other_processes(place: RunFolder, engine: AccelerateEngine) -> dict[str, tuple[str, str]]:
    """The number of processes, if the run had another one until now."""
    begun = place.read_environment()
    was = [change["processes"][1] for change in begun.get("changed", []) if "processes" in change]
    before = str(was[-1] if was else begun.get("processes", 1))
    return {} if before == str(engine.world) else {"processes": (before, str(engine.world))}


def _keep_account(loop: Loop, changed: Mapping[str, tuple[str, str]]) -> None:
    """The folder of a run whose settings are others from a step on says so."""
    place = loop.run.folder
    if changed and loop.engine.is_rank_zero:
        found = place.read_environment()
        found.setdefault("changed", []).append({"step": loop.run.step, **changed})
        place.write_environment(found)
        place.write_config(loop.run.recipe.as_yaml())


def _drive(loop: Loop, classes: dict[str, type[Any]]) -> None:
    run, hooks = loop.run, loop.hooks
    hooks.call("zoo_run_started", run=run)
    try:
        with stops_on_signal(run), loop.engine.flushing_denormals(), explain_out_of_memory(run):
            loop.train()
            run.trainer.finalize()
            if run.step >= run.total_steps:
                loop.evaluate(loop.evaluation)
                run.stopping = ""  # a signal that came after the last step stopped nothing
        if loop.engine.is_rank_zero or loop.engine.fsdp:
            tensors = {name: full_tensor(tensor) for name, tensor in run.model.state_dict().items()}
        if loop.engine.is_rank_zero:
            weights_format.write(run.folder.weights, tensors, weights_metadata(run))
        loop.engine.release(run.model)
        run.model.eval()  # as zoo.load gives it
    except BaseException as error:
        hooks.call("zoo_run_failed", run=run, error=error)
        if loop.engine.process_group.lost(error):
            raise ProcessLost(
                f"another process of the run ended after step {run.step}, and this one can't go on alone.",
                f"What it said tells why. Go on from the last checkpoint: zoo run --resume {run.path}",
            ) from error
        if isinstance(error, Exception) and not isinstance(error, ZooError):
            raise RunFailed(
                f"{attribute_error(error, classes)}, after step {run.step}.",
                f"--traceback shows where. The run lies in {run.path}.",
            ) from error
        if isinstance(error, RunFailed):
            error.hint = f"{error.hint or ''} The run lies in {run.path}.".strip()
        raise
    hooks.call("zoo_run_finished", run=run)
