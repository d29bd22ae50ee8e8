"""``zoo tune``"""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import click

from zoo_core.cli import common_options, open_catalog
from zoo_core.cli.names import RecipeName
from zoo_core.cli.options import device_option, json_option, registry_option
from zoo_core.config.command_line import zoo_command
from zoo_core.engine.shutdown import saves_nothing
from zoo_core.errors import BadSetting
from zoo_core.terminal import say, say_text

_HINT = "Type: pip install 'zoo-core[sweep]', or write --no-plot."


@click.group("tune")
def command() -> None:
    """Find settings of a recipe by short trainings."""


@command.command("lr")
@click.argument("name", metavar="RECIPE", type=RecipeName())
@click.argument("overrides", metavar="[KEY=VALUE]...", nargs=-1)
@click.option("--from", "lowest", type=float, default=1e-6, show_default=True, help="First learning rate.")
@click.option("--to", "highest", type=float, default=1.0, show_default=True, help="Last learning rate.")
@click.option("--steps", type=click.IntRange(20), default=100, show_default=True, help="Number of learning rates.")
@click.option("--metric", help="The loss among the metrics of a step; by default 'loss', or the only one.")
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    default="learning-rate.png",
    show_default=True,
    help="File of the picture.",
)
@click.option("--plot/--no-plot", "plots", default=True, help="Whether to draw the picture.")
@device_option
@registry_option
@json_option
@common_options
def learning_rate(
    name: str,
    overrides: tuple[str, ...],
    lowest: float,
    highest: float,
    steps: int,
    metric: str | None,
    output: Path,
    plots: bool,
    device: str | None,
    registry: tuple[Path, ...],
    as_json: bool,
) -> None:
    """Try learning rates: a range test of some steps (Smith 2017), its picture, and a suggestion.

    \b
    zoo tune lr digit-classifier-mnist
    zoo tune lr unet-digit-scenes run.batch_size=32 --from 1e-5 --to 0.1

    The learning rate grows from step to step; where the loss falls fastest is a good maximum for schedules with
    warm-up. Nothing but the picture is saved.
    """
    if not 0 < lowest < highest < float("inf"):
        raise BadSetting(
            f"the learning rates are from {lowest:g} to {highest:g}, but should be positive and rise.",
            "Write for example `--from 1e-6 --to 1`.",
        )
    if plots:
        from zoo_core.tools.extras import check_packages

        check_packages("the picture", ("matplotlib",), _HINT)
        from zoo_core.tools.tune.plot import check_output

        check_output(output)
    catalog = open_catalog(registry)
    words = [*overrides, *([f"run.device={device}"] if device else [])]
    from zoo_core.tools.tune.learning_rate import learning_rate_range

    with saves_nothing():
        found = learning_rate_range(catalog.recipe(name, *words), catalog, lowest, highest, steps, metric)
    if plots:
        from zoo_core.tools.tune.plot import draw

        draw(found, name, output)
    if as_json:
        say_text(json.dumps(asdict(found), indent=2))
        return
    tried = f"{len(found.rates)} steps with learning rates from {found.rates[0]:.2g} to {found.rates[-1]:.2g}"
    say(f"{name}: {tried}, {found.metric} from {found.losses[0]:.4g} to {found.losses[-1]:.4g}")
    if found.suggestion is None:
        say("  no suggestion: the loss falls nowhere; try other rates or more steps (--from, --to, --steps)")
    elif found.setting:
        say(f"  suggestion  {found.suggestion:.2g}")
        say(f"  run         {zoo_command(f'run {name} {found.setting}={found.suggestion:.2g}')}")
    else:
        say(f"  suggestion  {found.suggestion:.2g} as the largest learning rate, the others in proportion:")
        for optimizer, factor in found.factors.items():
            say(f"              {factor * found.suggestion:.2g} for {optimizer}")
    if plots:
        say(f"  picture     {output}")
