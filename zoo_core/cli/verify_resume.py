"""``zoo verify-resume``"""

from __future__ import annotations

import json
import random
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import click

from zoo_core.cli import common_options, open_catalog
from zoo_core.cli.names import RecipeName
from zoo_core.cli.options import json_option, registry_option
from zoo_core.terminal import say, say_text

if TYPE_CHECKING:
    from zoo_core.tools.omissions import Omission
    from zoo_core.tools.verify_resume import Kill

_SHORT = ("run.steps=40", "run.checkpoint_every=5", "run.log_every=5", "run.preview_every=10", "run.evaluate_every=20")


@click.command("verify-resume")
@click.argument("recipe", type=RecipeName())
@click.argument("overrides", metavar="[KEY=VALUE]...", nargs=-1)
@click.option("--kills", default=3, show_default=True, type=click.IntRange(min=1), help="How often the run is killed.")
@click.option("--mutate", is_flag=True, help="Also resume without each part of the saved state: all must be noticed.")
@click.option("--seed", default=0, show_default=True, help="Seed of the random moments.")
@registry_option
@json_option
@common_options
def command(
    recipe: str,
    overrides: tuple[str, ...],
    kills: int,
    mutate: bool,
    seed: int,
    registry: tuple[Path, ...],
    as_json: bool,
) -> int:
    """Verify that RECIPE, killed at random moments and resumed, gives bit-identical results.

    The run has 40 steps, a checkpoint every 5 steps, previews and one evaluation, unless the given settings say
    otherwise. One kill in five, and at least one, happens while a checkpoint is written; at least one run is trained on
    from a checkpoint. If something differs, the exit code is 1, and the first step and tensor that differ are shown.

    With --mutate, a run of 12 steps is resumed once without each part of its saved state: the model, each optimizer,
    schedule and counter, the position in the data, the seeds. Every omission must change the result, or the exit code
    is 1; parts that still have their initial value, or that the next step sets again, cannot be distinguished, and are
    named.

    \b
    zoo verify-resume clsgan-mnist dataset.source=subset --kills 5
    zoo verify-resume clsgan-mnist dataset.source=subset --mutate
    """
    from zoo_core.engine.shutdown import saves_nothing
    from zoo_core.registry.resolve import resolve
    from zoo_core.tools.omissions import SETTINGS, leave_out_each
    from zoo_core.tools.verify_resume import verify
    from zoo_core.training.batch_size import find_batch_size

    def tell(text: object) -> None:
        if not as_json:
            say_text(str(text), err=True)

    words = [*_SHORT, *overrides, "run.keep_checkpoints=1000000"]
    catalog = open_catalog(registry)
    resolved = resolve(catalog.recipe(recipe, *words), catalog)  # reports an error in the overrides right away
    with saves_nothing(), catalog.active():
        found = find_batch_size(resolved)
    if found is not None:  # once, so that all runs have the same
        tell(found.note)
        overrides, words = (*overrides, f"run.batch_size={found.size}"), [*words, f"run.batch_size={found.size}"]
    with TemporaryDirectory(prefix="zoo-verify-") as folder:
        rng = random.Random(seed)  # noqa: S311  # no secret
        verdict = verify(recipe, words, kills, Path(folder), rng, lambda kill: tell(_describe(kill)))
    omissions = []
    if mutate and not verdict.difference:
        resolved = resolve(catalog.recipe(recipe, *overrides, *SETTINGS), catalog)
        with TemporaryDirectory(prefix="zoo-verify-") as folder:
            omissions = leave_out_each(resolved, Path(folder), tell)
    if as_json:
        say_text(json.dumps({**asdict(verdict), "omissions": [asdict(one) for one in omissions]}, indent=2))
    elif verdict.difference:
        say(f"{recipe}: {verdict.difference}")
        say(
            "  Keep the trainer's state in attributes without a leading underscore; draw random numbers in step() only."
        )
    else:
        saving = sum(kill.saving for kill in verdict.kills)
        times = f"killed {len(verdict.kills)} times in {verdict.runs} runs, {saving} times while saving"
        say(f"{recipe}: {times}, bit-identical")
        if omissions:
            say(f"{recipe}: {_summary(omissions)}")
    return 1 if verdict.difference or any(one.missed for one in omissions) else 0


def _describe(kill: Kill) -> str:
    moment = f"after the checkpoint of step {kill.step}" if kill.step >= 0 else "before its first checkpoint"
    return f"killed {moment}{', while saving' if kill.saving else ''}"


def _summary(omissions: list[Omission]) -> str:
    noticed = sum(bool(one.difference) for one in omissions)
    needless = [one.part for one in omissions if not one.difference and one.needless]
    missed = [one.part for one in omissions if one.missed]
    text = f"{noticed} of {len(omissions)} parts of the state were left out and noticed"
    text += f"; not distinguished: {', '.join(needless)}" if needless else ""
    return text + (f"; NOT NOTICED: {', '.join(missed)}" if missed else "")
