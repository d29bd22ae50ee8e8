"""From a resolved recipe to a finished run: assemble, train, evaluate, write the weights."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from pathlib import Path
from typing import Any

import pluggy

from zoo_core.checkpoint.names import steps_in
from zoo_core.engine.engine import AccelerateEngine
from zoo_core.engine.fsdp import full_tensor
from zoo_core.engine.memory import explain_out_of_memory
from zoo_core.engine.own_settings import own_settings
from zoo_core.engine.shutdown import nothing_left_to_save, undone_on_signal
from zoo_core.errors import RunFailed
from zoo_core.registry.resolve import ResolvedRecipe, resolve
from zoo_core.runs.folder import RunFolder
from zoo_core.runs.paths import RUNS, new_path
from zoo_core.runs.resume_changes import ORIGINS, changed_origins, changes, refuse_other_origins, resume_warnings
from zoo_core.runs.run import Run
from zoo_core.runs.sessions import process_lost
from zoo_core.training.assemble import Assembly, assemble
from zoo_core.training.batch_size import agreed, as_begun, find_batch_size
from zoo_core.training.callbacks import CallbackList
from zoo_core.training.environment import environment
from zoo_core.training.error_attribution import attributing_errors
from zoo_core.training.init_from import INIT_FROM
from zoo_core.training.loop import Loop
from zoo_core.training.monitored_metric import check_monitored_metric
from zoo_core.training.opened import OpenedRecipe, open_dataset
from zoo_core.training.resume import find_newest, recipe_of, repair_config, repair_environment, restore, start_of
from zoo_core.training.run_errors import raise_as_run_failed, settle_exit_code
from zoo_core.training.signals import stops_after, stops_on_signal
from zoo_core.weights import format as weights_format
from zoo_core.weights.matching import parameter_names
from zoo_core.weights.metadata import weights_metadata


def run_recipe(
    resolved: ResolvedRecipe,
    callbacks: Iterable[object] = (),
    folder: Path | None = None,
    resume: bool = False,
    seconds: float | None = None,
    *,
    allow_changed_data: bool = False,
    allow_changed_code: bool = False,
) -> Run:
    """Train a recipe in a new folder, or resume the stopped run in ``folder``; for at most ``seconds``.

    What the model, the dataset or the trainer look up by name is found in the recipe's catalog. A run is resumed with
    other data, or with another version of a plugin that it uses, only if that is allowed.

    Raises:
        ZooError: if the recipe asks for something that does not exist, or if a resumed run was begun with other
            settings, data or code; nothing is written then.
        RunFailed: if the training fails; its last checkpoint is on disk.
    """
    with resolved.catalog.active(), own_settings():
        place = RunFolder((folder or new_path(RUNS, resolved.recipe.name)).absolute())  # whatever a plugin changes to
        loaded = resolved.load()
        classes = {f"the {part} '{resolved.recipe.component(part)}'": one.component for part, one in loaded.items()}
        with attributing_errors(classes, ", before the first step"):
            found = None if resume or os.path.exists(place.config) else find_batch_size(resolved)  # or it is refused
        if resume:
            resolved = as_begun(resolved, recipe_of(place))
        engine = AccelerateEngine(resolved.settings)
        if found is not None:
            found = agreed(found, engine)
            resolved = found.applied(resolved)
        _agree_on_resuming(engine, place, resume)
        with attributing_errors(classes, ", before the first step"):
            opened = open_dataset(resolved)
        resolved = opened.resolved
        if found is not None:
            opened.warnings.append(found.note)
        changed = _changes(resolved, place) if resume else {}
        allowed = {"data": allow_changed_data, "code": allow_changed_code}
        with ExitStack() as lock:
            with _created(place) if engine.is_rank_zero and not resume else nullcontext():
                lock.enter_context(_locked(place, engine))
                assembly, notes = _begin(opened, engine, place, callbacks, classes, changed, resume, allowed)
            for note in notes:
                warnings.warn(note, stacklevel=2)
            with stops_after(assembly.loop.run, seconds):
                _drive(assembly.loop, classes)
        engine.close()
    return assembly.loop.run


def _agree_on_resuming(engine: AccelerateEngine, place: RunFolder, resume: bool) -> None:
    if not engine.process_group.all_equal(int(resume)):
        raise RunFailed(
            "some processes resume a run, and others start a new one.",
            f"{place.path} should be on a file system that all machines share.",
        )


def _changes(resolved: ResolvedRecipe, place: RunFolder) -> dict[str, tuple[str, str]]:
    """What differs from the settings that the run has had until now."""
    before = resolve(recipe_of(place), resolved.catalog, resolved.provided)
    return changes(before.recipe, resolved.recipe)


@contextmanager
def _created(place: RunFolder) -> Iterator[None]:
    """Context in which a new run begins in a new folder. A signal in it leaves no folder behind."""
    with undone_on_signal(place.remove_if_empty):
        place.create()
        yield


def _locked(place: RunFolder, engine: AccelerateEngine) -> AbstractContextManager[None]:
    return place.locked() if engine.is_rank_zero else nullcontext()


def _begin(
    opened: OpenedRecipe,
    engine: AccelerateEngine,
    place: RunFolder,
    callbacks: Iterable[object],
    classes: Mapping[str, type[Any]],
    changed: dict[str, tuple[str, str]],
    resume: bool,
    allowed: Mapping[str, bool],
) -> tuple[Assembly, list[str]]:
    """Assemble the run and restore it, or describe it in its folder; with what is to be warned of.

    A new run that cannot begin leaves no folder behind.
    """
    resolved = opened.resolved
    plugins = resolved.catalog.plugins.manager if engine.is_rank_zero else pluggy.PluginManager("zoo")
    try:
        hooks = CallbackList(plugins, callbacks if engine.is_rank_zero else ())
        with attributing_errors(classes, ", before the first step"):
            assembly = assemble(opened, engine, place, hooks, starts=not (resume and steps_in(place.checkpoints)))
        notes = list(assembly.data.warnings)
        about = _about(resolved, engine, assembly)
        if resume:
            used = {component.entry.plugin for component in resolved.components.values()}
            newest = find_newest(place.checkpoints)
            notes += repair_config(engine, place, resolved.recipe)
            notes += repair_environment(engine, place, about | (newest.origins if newest else {}))
            about |= start_of(place, newest, assembly.start)
            changed |= changed_origins(place.read_environment(), about, used, changed)
            refuse_other_origins(changed, place.path, **allowed)
            notes += [*restore(assembly.loop, newest, resolved, changed), *resume_warnings(changed)]
            _record_changes(assembly.loop, changed, about)
        elif engine.is_rank_zero:
            place.write_environment(about)
            weights_format.encode_metadata(
                place.weights, weights_metadata(assembly.loop.run)
            )  # refused now, not at the end
            place.write_config(resolved.recipe.as_yaml())  # a folder that has both can be resumed
        check_monitored_metric(assembly.loop.evaluator)
        assembly.loop.checkpoints.origins = {part: about[part] for part in (*ORIGINS, INIT_FROM) if part in about}
    except BaseException:
        if not resume and engine.is_rank_zero:
            place.remove_if_empty()
        raise
    return assembly, notes


def _about(resolved: ResolvedRecipe, engine: AccelerateEngine, assembly: Assembly) -> dict[str, Any]:
    """The content of ``environment.json``."""
    data = assembly.data
    about = environment(
        resolved.catalog, resolved.recipe, engine.device, engine.precision, data.summary(), data.warnings
    )
    start = {} if assembly.start is None else {INIT_FROM: assembly.start.lineage}
    return {**about, "processes": engine.world, **start}


def _record_changes(loop: Loop, changed: Mapping[str, tuple[str, str]], about: Mapping[str, Any]) -> None:
    """Write into the run's folder what is different from this step on."""
    place = loop.run.folder
    # No process may still read what is written here.
    if not loop.engine.process_group.all_equal(len(changed)):
        raise RunFailed(
            "the processes see different data, plugins or versions.", "Give all machines the same files and packages."
        )
    if changed and loop.engine.is_rank_zero:
        found = place.read_environment()
        found.setdefault("changed", []).append({"step": loop.run.step, **changed})
        found |= {part: about[part] for part in ORIGINS}
        place.write_environment(found)
        place.write_config(loop.run.recipe.as_yaml())


def _drive(loop: Loop, classes: Mapping[str, type[Any]]) -> None:
    run, callbacks = loop.run, loop.callbacks
    with stops_on_signal(run):
        callbacks.call("zoo_run_started", run=run)
        try:
            with loop.engine.flushing_denormals(), explain_out_of_memory(run):
                loop.train()
                loop.finalize()
                loop.checkpoints.refuse_not_finite(
                    f"after finalize of the trainer '{run.recipe.component('trainer')}'",
                    "Before it, the parameters were finite; the last checkpoint holds them.",
                )
                if run.step >= run.total_steps:
                    nothing_left_to_save()  # the last checkpoint is on disk
                    loop.evaluator.test()
                    run.stopping = ""  # a signal that came after the last step stopped nothing
            if loop.engine.is_rank_zero or loop.engine.fsdp:
                tensors = {name: full_tensor(tensor) for name, tensor in run.model.state_dict().items()}
            if loop.engine.is_rank_zero:
                weights_format.write(run.folder.weights, tensors, weights_metadata(run), parameter_names(run.model))
            loop.engine.release(run.model)
            loop.frozen.release()
            run.model.eval()  # as zoo.load returns it
        except BaseException as error:
            is_lost = loop.engine.process_group.lost(error)
            lost = process_lost(f"after step {run.step}", run.path) if is_lost else None
            callbacks.call("zoo_run_failed", run=run, error=lost or error)
            settle_exit_code(error, run)
            if lost:
                raise lost from error
            raise_as_run_failed(error, run, classes)
        callbacks.call("zoo_run_finished", run=run)
