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
from zoo_core.training.signals import exits_on_interrupt

if TYPE_CHECKING:
    from zoo_core.tools.verify_resume import Kill

_SHORT = ("run.steps=40", "run.checkpoint_every=5", "run.log_every=5", "run.preview_every=0", "run.evaluate_every=0")


@click.command("verify-resume")
@click.argument("recipe", type=RecipeName())
@click.argument("overrides", metavar="[KEY=VALUE]...", nargs=-1)
@click.option("--kills", default=3, show_default=True, type=click.IntRange(min=1), help="How often it is killed.")
@click.option("--seed", default=0, show_default=True, help="When, is drawn from this.")
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
@common_options
def command(recipe: str, overrides: tuple[str, ...], kills: int, seed: int, as_json: bool) -> int:
    """Whether RECIPE, killed at random moments and resumed, ends as if it had not been, bit for bit.

    Forty steps with a checkpoint every five, unless the settings behind RECIPE say otherwise. Ends with exit code 1 if
    something differs, and names the first tensor and step that do.

    \b
    zoo verify-resume clsgan-mnist dataset.source=subset --kills 5
    """
    with exits_on_interrupt():
        from zoo_core.registry.resolve import resolve
        from zoo_core.tools.verify_resume import verify

        def told(kill: Kill) -> None:
            if not as_json:
                newest = (
                    f"behind the checkpoint of step {kill.step}" if kill.step >= 0 else "before its first checkpoint"
                )
                click.echo(f"killed {newest}", err=True)

        words = [*_SHORT, *overrides, "run.keep_checkpoints=1000000"]
        here = open_catalog()
        resolve(here.recipe(recipe, *words), here)
        with TemporaryDirectory(prefix="zoo-verify-") as folder:
            verdict = verify(recipe, words, kills, Path(folder), random.Random(seed), told)  # noqa: S311  # no secret
    if as_json:
        click.echo(json.dumps(asdict(verdict), indent=2))
    elif verdict.difference:
        click.echo(f"{recipe}: {verdict.difference}")
        click.echo(
            "  Keep what the trainer needs in attributes without a leading underscore; draw nothing outside step()."
        )
    else:
        click.echo(f"{recipe}: killed {kills} times in {verdict.runs} runs, and the same, bit for bit")
    return 1 if verdict.difference else 0
