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
from zoo_core.cli.options import json_option

if TYPE_CHECKING:
    from zoo_core.tools.verify_resume import Kill

_SHORT = ("run.steps=40", "run.checkpoint_every=5", "run.log_every=5", "run.preview_every=0", "run.evaluate_every=0")


@click.command("verify-resume")
@click.argument("recipe", type=RecipeName())
@click.argument("overrides", metavar="[KEY=VALUE]...", nargs=-1)
@click.option("--kills", default=3, show_default=True, type=click.IntRange(min=1), help="How often the run is killed.")
@click.option("--seed", default=0, show_default=True, help="Seed of the random moments.")
@json_option
@common_options
def command(recipe: str, overrides: tuple[str, ...], kills: int, seed: int, as_json: bool) -> int:
    """Verify that RECIPE, killed at random moments and resumed, gives bit-identical results.

    The run has 40 steps and a checkpoint every 5 steps, unless the given settings say otherwise. If something differs,
    the exit code is 1, and the first step and tensor that differ are shown.

    \b
    zoo verify-resume clsgan-mnist dataset.source=subset --kills 5
    """
    from zoo_core.registry.resolve import resolve
    from zoo_core.tools.verify_resume import verify

    def print_kill(kill: Kill) -> None:
        if not as_json:
            moment = f"after the checkpoint of step {kill.step}" if kill.step >= 0 else "before its first checkpoint"
            click.echo(f"killed {moment}", err=True)

    words = [*_SHORT, *overrides, "run.keep_checkpoints=1000000"]
    catalog = open_catalog()
    resolve(catalog.recipe(recipe, *words), catalog)  # reports an error in the overrides right away
    with TemporaryDirectory(prefix="zoo-verify-") as folder:
        verdict = verify(recipe, words, kills, Path(folder), random.Random(seed), print_kill)  # noqa: S311  # no secret
    if as_json:
        click.echo(json.dumps(asdict(verdict), indent=2))
    elif verdict.difference:
        click.echo(f"{recipe}: {verdict.difference}")
        click.echo(
            "  Keep the trainer's state in attributes without a leading underscore; draw random numbers in step() only."
        )
    else:
        click.echo(f"{recipe}: killed {kills} times in {verdict.runs} runs, bit-identical")
    return 1 if verdict.difference else 0
