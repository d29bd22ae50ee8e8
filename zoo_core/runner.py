"""From a recipe to a finished run: resolve, build, drive, report."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterable, Mapping
from contextlib import nullcontext
from pathlib import Path
from typing import Any, cast

import pluggy
import torch

from zoo_core import checkpoint
from zoo_core.batches import Batches, in_order
from zoo_core.blame import blame
from zoo_core.catalog import Catalog
from zoo_core.dataset import Dataset
from zoo_core.engine import AccelerateEngine
from zoo_core.environment import environment
from zoo_core.errors import BadSetting, ProcessLost, RunFailed, UnknownName, ZooError
from zoo_core.folder import RunFolder, new_run_path
from zoo_core.interrupt import stops_after, stops_on_signal
from zoo_core.loop import Loop
from zoo_core.memory import says_what_to_lower
from zoo_core.model import Model
from zoo_core.randomness import seed_step
from zoo_core.recipe_files import PARTS
from zoo_core.recipes import Recipe, RunSettings, read_config
from zoo_core.registry import Kind
from zoo_core.relay import Relay
from zoo_core.resuming import changes, told
from zoo_core.run_state import Run
from zoo_core.settings import read
from zoo_core.sharding import is_divided, whole
from zoo_core.state import Held
from zoo_core.trainer import Trainer
from zoo_core.weights import format as weights_format


def run_recipe(
    recipe: Recipe,
    catalog: Catalog,
    observers: Iterable[object] = (),
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
    place = RunFolder(folder or new_run_path(recipe.name))
    changed = changes(complete(read_config(place.config), catalog), recipe) if resume else {}
    if not resume and engine.is_main:
        place.create()
    with place.locked() if engine.is_main else nullcontext():
        try:
            hooks = Relay(catalog.plugins.manager, observers if engine.is_main else ())
            loop, notes, data = _build(recipe, resolved, settings, engine, place, hooks)
            if resume:
                changed |= _other_processes(place, engine)
                notes += [*_restore(loop), *told(changed)]
                _keep_account(loop, changed)
            elif engine.is_main:
                about = environment(catalog, recipe, engine.device, engine.precision, data, notes)
                place.write_environment({**about, "processes": engine.world})
                place.write_config(recipe.as_yaml())
        except BaseException:
            if not resume and engine.is_main:
                place.remove_if_empty()
            raise
        for note in notes:
            warnings.warn(note, stacklevel=2)
        classes = {f"the {part} '{recipe.component(part)}'": one for part, (one, _) in resolved.items()}
        with stops_after(loop.run, seconds):
            _drive(loop, classes)
    engine.close()
    return loop.run


def resume_run(path: Path, catalog: Catalog, observers: Iterable[object] = ()) -> Run:
    """Go on with the run in the folder ``path`` from its newest whole checkpoint, with the settings it has."""
    recipe = complete(read_config(RunFolder(path).config), catalog)
    return run_recipe(recipe, catalog, observers, path, resume=True)


def evaluate(
    recipe: Recipe, model: Model, step: int, catalog: Catalog, *, validation: bool = False
) -> tuple[dict[str, float], dict[str, Any], list[str]]:
    """The figures of ``model``, as a run of ``recipe`` measures them after ``step`` steps; the data, and warnings.

    They are of the evaluation examples, or of those for ``validation``.
    Nothing is written, and no plugin's life-cycle hooks are called: this is no run.
    """
    loop, notes, data = _apart(recipe, catalog, Path(), (), model)
    loop.run.step = step
    with loop.engine.flushing_denormals(), says_what_to_lower(loop.run):
        loop.evaluate(loop.validation if validation else loop.evaluation)
    loop.engine.release(model)
    loop.engine.close()
    return loop.run.figures, data, notes


def try_out(recipe: Recipe, catalog: Catalog, folder: Path | None = None, observers: Iterable[object] = ()) -> Loop:
    """The loop of ``recipe`` with everything built, to be stepped by hand: a run without its folder and reports.

    Checkpoints go into ``folder``, which is made; without one, ``Loop.train`` should not be called.
    """
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
    return _apart(recipe, catalog, folder or Path(), observers)[0]


def _apart(
    recipe: Recipe, catalog: Catalog, folder: Path, observers: Iterable[object], model: Model | None = None
) -> tuple[Loop, list[str], dict[str, Any]]:
    """As ``_build``, from the beginning, and without the plugins' hooks: this is no run."""
    settings = recipe.run_settings()
    resolved = resolve(recipe, catalog)
    engine = AccelerateEngine(settings)
    hooks = Relay(pluggy.PluginManager("zoo"), observers if engine.is_main else ())
    return _build(recipe, resolved, settings, engine, RunFolder(folder), hooks, model)


def build(kind: Kind, name: str, settings: dict[str, Any], catalog: Catalog) -> Any:
    """An untrained model, a data set or a trainer, from its registered name and its settings."""
    loaded = catalog.find(kind, name).load()
    return loaded(read(loaded.Config, settings, f"{kind} '{name}'"))


def resolve(recipe: Recipe, catalog: Catalog) -> dict[str, tuple[type[Any], Any]]:
    """Each part's class and its checked settings; raises what is wrong with the recipe before anything is written."""
    resolved = {}
    for part in PARTS:
        kind = cast(Kind, part)
        name = recipe.component(part)
        try:
            loaded = catalog.find(kind, name).load()
        except UnknownName as error:
            raise UnknownName(f"{recipe.where(f'{part}.name')}{part}.name: {error.problem}", error.cure) from None
        config = read(loaded.Config, recipe.settings(part), f"{kind} '{name}'", part, recipe.where)
        resolved[part] = (loaded, config)
    return resolved


def complete(recipe: Recipe, catalog: Catalog) -> Recipe:
    """``recipe`` with every default written out, so that the file repeats the run after a default has changed."""
    from dataclasses import asdict

    # What a sweep would try is no part of a run.
    values: dict[str, Any] = {key: value for key, value in recipe.values.items() if key != "sweep"}
    for part, (_, config) in resolve(recipe, catalog).items():
        values[part] = {"name": recipe.component(part), **_plain(asdict(config))}
    values["run"] = {key: value for key, value in asdict(recipe.run_settings()).items() if value is not None}
    return Recipe(recipe.name, values, recipe.plugin, recipe.sources)


def _build(
    recipe: Recipe,
    resolved: dict[str, tuple[type[Any], Any]],
    settings: RunSettings,
    engine: AccelerateEngine,
    place: RunFolder,
    hooks: Relay,
    trained: Model | None = None,
) -> tuple[Loop, list[str], dict[str, Any]]:
    """All that a run needs, and what its data set warned of and is. It begins with the model ``trained``, if given."""
    (model_class, model_config), (dataset_class, dataset_config), (trainer_class, trainer_config) = resolved.values()
    dataset: Dataset = dataset_class(dataset_config)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", UserWarning)
        train, evaluation, validation = dataset.train(), dataset.evaluation(), dataset.validation()
        fingerprint = dataset.fingerprint()
    seed_step(settings.seed, 0, 0, "build")
    model: Model = trained if trained is not None else model_class(model_config)
    trainer: Trainer = trainer_class(trainer_config)
    if settings.accumulate > 1 and not trainer.accumulates:
        raise BadSetting(
            f"run.accumulate is {settings.accumulate}, but the trainer '{recipe.component('trainer')}' does not say "
            "that it can be given a batch in parts.",
            "Leave it out, or let the trainer heed engine.updating and set `accumulates = True`.",
        )
    if settings.sync_batch_norm:
        torch.nn.SyncBatchNorm.convert_sync_batchnorm(model)  # type: ignore[no-untyped-call]
    batches = Batches(
        train,
        lambda generator: trainer.order(train, generator),
        settings.batch_size,
        settings.seed,
        rank=engine.rank,
        world=engine.world,
        workers=settings.workers,
        parts=settings.accumulate,
    )
    engine.total_steps = (
        settings.steps if settings.steps is not None else round((settings.epochs or 0) * batches.per_epoch)
    )
    model.to(engine.device)
    trainer.setup(model, engine)
    if engine.sharded:
        _refuse_whole_copies(model, trainer, recipe)
    held = Held(model, trainer, engine.unwrap)
    # The processes of a divided network compute in step, and shares may be unequal; none should be empty.
    fewest = min(len(evaluation), len(validation))
    shares_evaluation = trainer.shares_evaluation and not engine.sharded and fewest >= engine.world
    each = settings.batch_size // engine.world
    share = {"rank": engine.rank, "world": engine.world} if shares_evaluation else {}
    run = Run(recipe, settings, place, model, trainer, engine.device, engine.total_steps, batches.per_epoch)
    loop = Loop(
        run,
        engine,
        batches,
        held,
        hooks,
        lambda: in_order(evaluation, each, settings.workers, **share),
        lambda: in_order(validation, each, settings.workers, **share),
        lambda: in_order(train, each, settings.workers),
        lambda: in_order(validation, settings.batch_size, settings.workers),
        shares_evaluation,
    )
    data = {
        "fingerprint": fingerprint,
        "training_examples": len(train),
        "evaluation_examples": len(evaluation),
    }
    said = dict.fromkeys(str(one.message) for one in caught if one.category is UserWarning)
    return loop, list(said), data


def _refuse_whole_copies(model: Model, trainer: Trainer, recipe: Recipe) -> None:
    """An average of weights that was copied before they were divided could not follow them."""
    inside = {id(module) for module in model.modules()}
    for name, value in vars(trainer).items():
        outside = isinstance(value, torch.nn.Module) and id(value) not in inside
        if outside and not all(map(is_divided, value.parameters())):
            raise BadSetting(
                f"run.sharded divides the model among the processes, but the trainer "
                f"'{recipe.component('trainer')}' holds self.{name}, a whole copy or another network.",
                "Leave run.sharded out, or the copy: of averaged weights, `trainer.averaging=0`.",
            )


def _restore(loop: Loop) -> list[str]:
    place = loop.run.folder.checkpoints
    if not checkpoint.any_in(place):
        return [f"{place} holds no checkpoint yet, so the run begins again."]
    step, captured, damaged = checkpoint.load_newest(place)
    loop.restore(step, captured)
    if not loop.engine.others.same(step):
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
    if changed and loop.engine.is_main:
        found = place.read_environment()
        found.setdefault("changed", []).append({"step": loop.run.step, **changed})
        place.write_environment(found)
        place.write_config(loop.run.recipe.as_yaml())


def _drive(loop: Loop, classes: dict[str, type[Any]]) -> None:
    run, hooks = loop.run, loop.hooks
    hooks.call("zoo_run_started", run=run)
    try:
        with stops_on_signal(run), loop.engine.flushing_denormals(), says_what_to_lower(run):
            loop.train()
            run.trainer.finish()
            if run.step >= run.total_steps:
                loop.evaluate(loop.evaluation)
                run.stopping = ""  # a signal that came after the last step stopped nothing
        if loop.engine.is_main or loop.engine.sharded:
            tensors = {name: whole(tensor) for name, tensor in run.model.state_dict().items()}
        if loop.engine.is_main:
            weights_format.write(run.folder.weights, tensors, story(run))
        loop.engine.release(run.model)
        run.model.eval()  # as zoo.load gives it
    except BaseException as error:
        hooks.call("zoo_run_failed", run=run, error=error)
        if loop.engine.others.lost(error):
            raise ProcessLost(
                f"another process of the run ended after step {run.step}, and this one can't go on alone.",
                f"What it said tells why. Go on from the last checkpoint: zoo run --resume {run.path}",
            ) from error
        if isinstance(error, Exception) and not isinstance(error, ZooError):
            raise RunFailed(
                f"{blame(error, classes)}, after step {run.step}.",
                f"--traceback shows where. The run lies in {run.path}.",
            ) from error
        if isinstance(error, RunFailed):
            error.cure = f"{error.cure or ''} The run lies in {run.path}.".strip()
        raise
    hooks.call("zoo_run_finished", run=run)


def story(run: Run) -> dict[str, Any]:
    """What a run's ``model.safetensors`` says of itself. See docs/weights.md."""
    from zoo_core.environment import versions

    return {
        **provenance(run.folder),
        "protocol": run.trainer.protocol,
        "model": run.recipe.component("model"),
        "config": run.recipe.settings("model"),
        "recipe": {"name": run.name, **run.recipe.values},
        "step": run.step,
        "seed": run.settings.seed,
        "figures": finite(run.figures),
        "versions": versions(),
    }


def finite(figures: Mapping[str, float]) -> dict[str, float]:
    """``figures`` without those that are no numbers: JSON has none for them, and with them nothing compares."""
    return {name: value for name, value in figures.items() if math.isfinite(value)}


def provenance(folder: RunFolder) -> dict[str, Any]:
    """Of a run's ``environment.json``, what its weights should say of where they come from."""
    environment = folder.read_environment()
    return {
        "dataset": environment["data"]["fingerprint"],
        "plugins": environment["plugins"],
        "git": environment["git"],
    }


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(element) for key, element in value.items()}
    return [_plain(element) for element in value] if isinstance(value, tuple) else value
