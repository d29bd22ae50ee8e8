"""What a resumed run finds in its folder: the newest whole checkpoint, and files that are damaged."""

from __future__ import annotations

from collections.abc import Callable

from zoo_core.checkpoint import directory as checkpoint
from zoo_core.checkpoint.names import others_in, steps_in
from zoo_core.engine.engine import AccelerateEngine
from zoo_core.errors import BadFile, RunFailed
from zoo_core.files import set_aside
from zoo_core.registry.resolve import ResolvedRecipe, resolve
from zoo_core.runs.folder import RunFolder
from zoo_core.runs.resume_changes import changes
from zoo_core.training.loop import Loop


def repair_environment(engine: AccelerateEngine, place: RunFolder, write: Callable[[], None]) -> list[str]:
    """Let ``write`` write ``environment.json`` again if it is missing or damaged; a message if it was.

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
            write()
            notes = [f"{error.message} It was written again, as of now.{kept}"]
    engine.process_group.broadcast_first(0)  # the other processes read it after this
    return notes


def restore(loop: Loop, resolved: ResolvedRecipe, changed: dict[str, tuple[str, str]]) -> list[str]:
    """Restore the newest whole checkpoint; messages about what else was found.

    What differs from the settings that the checkpoint was written with is added to ``changed``.

    Raises:
        BadFile: if there are checkpoints, but none is whole.
        BadSetting: if a setting differs that a resumed run cannot change.
    """
    place = loop.run.folder.checkpoints
    names = ", ".join(others_in(place)[:5])
    others = [f"{place} also holds {names}, which zoo does not use."] if names else []
    if not steps_in(place):
        return [f"{place} holds no checkpoint yet, so the run starts again at step 0.", *others]
    step, captured, damaged = checkpoint.load_newest(place)
    before = resolve(loop.checkpoints.recipe_of(captured), resolved.catalog).recipe
    unrequested = {key: pair for key, pair in changes(before, resolved.recipe).items() if key not in changed}
    changed |= unrequested
    loop.restore(step, captured)
    if not loop.engine.process_group.all_equal(step):
        raise RunFailed(
            f"the processes do not see the same checkpoints: this one resumes at step {step}.",
            f"{loop.run.path} should be on a file system that all machines share.",
        )
    if not loop.engine.is_rank_zero:
        return []
    modified = [
        f"{key} is {new} in config.yaml, but was {old} when the checkpoint of step {step} was written."
        for key, (old, new) in unrequested.items()
    ]
    return [*checkpoint.set_damaged_aside(damaged, step), *others, *modified]
