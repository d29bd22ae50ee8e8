"""What a resumed run finds in its folder: the newest whole checkpoint, and files that are damaged."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from zoo_core.checkpoint import directory as checkpoint
from zoo_core.checkpoint.names import others_in, steps_in
from zoo_core.checkpoint.serialize import Packed, unpack
from zoo_core.config.recipe import Recipe, read_config
from zoo_core.config.yaml_reader import read_text
from zoo_core.engine.engine import AccelerateEngine
from zoo_core.errors import BadFile, RunFailed, in_yaml, one_line
from zoo_core.files import set_aside, stat_regular
from zoo_core.registry.resolve import ResolvedRecipe, resolve
from zoo_core.runs.folder import RunFolder
from zoo_core.runs.resume_changes import changes, refuse_fewer_steps
from zoo_core.training.checkpoints import ORIGINS, RECIPE
from zoo_core.training.init_from import INIT_FROM, StartWeights, refuse_other_start
from zoo_core.training.loop import Loop


@dataclass(frozen=True)
class Newest:
    """The newest whole checkpoint of a run."""

    step: int
    state: Mapping[str, Packed]
    recipe: Recipe
    """The recipe that the run had when it was written."""
    origins: dict[str, Any]
    """The part of ``environment.json`` that the run had then."""
    damaged: Mapping[Path, str]
    """The newer checkpoints, and what is wrong with them."""


def find_newest(folder: Path) -> Newest | None:
    """The newest whole checkpoint in the folder; None if it holds none at all.

    Raises:
        BadFile: if there are checkpoints, but none is whole.
    """
    if not steps_in(folder):
        return None
    step, state, damaged = checkpoint.load_newest(folder)
    try:
        values = dict(read_text(unpack(*state[RECIPE])))
        recipe = Recipe(values.pop("recipe"), values)
        return Newest(step, state, recipe, dict(unpack(*state[ORIGINS])), damaged)
    except (LookupError, TypeError, ValueError) as error:
        raise BadFile(f"the checkpoint of step {step} is not one of a run: {one_line(repr(error))}.") from error


def recipe_of(place: RunFolder) -> Recipe:
    """The recipe of a run: its ``config.yaml`` or, if that is missing or damaged, the one in its newest checkpoint.

    Raises:
        BadFile: if ``config.yaml`` is damaged and there is no checkpoint, or if it has an error of syntax, which may be
            a mistake in a change that somebody wants.
    """
    if not (damage := _damage_of(place.config)):
        try:
            return read_config(place.config)
        except BadFile as error:
            error.hint = "Correct it, or delete it to resume with the settings of the newest checkpoint."
            raise
    newest = find_newest(place.checkpoints)
    if newest is None:
        raise BadFile(f"{damage}, and the run has no checkpoint, which would state its settings.", "Start a new run.")
    return newest.recipe


def repair_config(engine: AccelerateEngine, place: RunFolder, recipe: Recipe) -> list[str]:
    """Write ``recipe`` into ``config.yaml`` if that is missing or damaged; a message if it was."""
    damage = _damage_of(place.config) if engine.is_rank_zero else ""
    if not damage:
        return []
    kept = ""
    if os.path.lexists(place.config):
        kept = f" The damaged file is kept as {set_aside(place.config).name}."
    place.write_config(recipe.as_yaml())
    return [f"{damage}; it was written again with the settings of the newest checkpoint.{kept}"]


def _damage_of(config: Path) -> str:
    """What is wrong with a ``config.yaml`` that nobody can have written so; "" if nothing is."""
    try:
        stat_regular(config)
        text = config.read_bytes().decode()
    except BadFile as error:
        return error.message.removesuffix(".")
    except (OSError, UnicodeDecodeError) as error:
        return f"{config} can't be read: {getattr(error, 'strerror', None) or 'it is not text'}"
    if not text.strip():
        return f"{config} is empty"
    if not all(one.isprintable() or one.isspace() for one in text.lstrip("\ufeff")):
        return f"{config} is damaged: it holds control characters"
    try:
        document = read_text(text)
    except yaml.YAMLError:
        return ""
    parts = document if isinstance(document, dict) else {}
    has_dataset = "batch_size" in (parts.get("run") or ())  # a complete recipe with a dataset states it
    expected = ["model", "trainer", "run", *["dataset"] * has_dataset]
    missing = next((part for part in expected if part not in parts), None)
    return f"{config} is damaged: it has no part '{missing}'" if missing else ""


def repair_environment(engine: AccelerateEngine, place: RunFolder, environment: dict[str, Any]) -> list[str]:
    """Write ``environment`` into ``environment.json`` if that is missing or damaged; a message if it was.

    A run can be resumed without it.
    """
    notes = []
    if engine.is_rank_zero:
        try:
            place.read_environment()
        except BadFile as error:
            kept = ""
            if place.has_environment:
                kept = f" The damaged file is kept as {set_aside(place.environment).name}."
            place.write_environment(environment)
            notes = [f"{error.message} It was written again.{kept}"]
    engine.process_group.broadcast_first(0)  # the other processes read it after this
    return notes


def start_of(place: RunFolder, newest: Newest | None, loaded: StartWeights | None) -> dict[str, Any]:
    """What the run has recorded of the weights that it started from, as an entry of ``environment.json``.

    Raises:
        BadSetting: if the run starts again, with other weights than it started with.
    """
    recorded = place.read_environment().get(INIT_FROM) or (newest.origins.get(INIT_FROM) if newest else None)
    if loaded is not None:
        refuse_other_start(recorded, loaded.lineage["sha256"])
    return {INIT_FROM: recorded} if recorded else {}


def restore(
    loop: Loop, newest: Newest | None, resolved: ResolvedRecipe, changed: dict[str, tuple[str, str]]
) -> list[str]:
    """Restore the newest whole checkpoint; messages about what else was found.

    What differs from the settings that the checkpoint was written with is added to ``changed``.

    Raises:
        BadSetting: if a setting differs that a resumed run cannot change.
    """
    place = loop.run.folder.checkpoints
    names = ", ".join(others_in(place)[:5])
    others = [f"{place} also holds {names}, which zoo does not use."] if names else []
    if newest is None:
        return [f"{place} holds no checkpoint yet, so the run starts again at step 0.", *others]
    before = resolve(newest.recipe, resolved.catalog, resolved.provided).recipe
    unrequested = {key: pair for key, pair in changes(before, resolved.recipe).items() if key not in changed}
    changed |= unrequested
    unrequested |= _renamed(before, resolved.recipe)
    refuse_fewer_steps(newest.step, loop.run.total_steps)
    loop.restore(newest.step, newest.state)
    if not loop.engine.process_group.all_equal(newest.step):
        raise RunFailed(
            f"the processes do not see the same checkpoints: this one resumes at step {newest.step}.",
            f"{loop.run.path} should be on a file system that all machines share.",
        )
    if not loop.engine.is_rank_zero:
        return []
    modified = [
        f"{key} is {new} in config.yaml, but was {old} when the checkpoint of step {newest.step} was written."
        for key, (old, new) in unrequested.items()
    ]
    return [*checkpoint.set_damaged_aside(newest.damaged, newest.step), *others, *modified]


def _renamed(was: Recipe, now: Recipe) -> dict[str, tuple[str, str]]:
    """What differs of a recipe besides its settings."""
    pairs = {
        key: (in_yaml(was.values.get(key)), in_yaml(now.values.get(key))) for key in ("summary", "extends", "tags")
    }
    pairs["recipe"] = (was.name, now.name)
    return {key: (old, new) for key, (old, new) in pairs.items() if old != new}
