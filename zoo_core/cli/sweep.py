"""``zoo sweep``"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from zoo_core.cli import common_options
from zoo_core.cli.durations import Duration
from zoo_core.cli.names import RecipeName
from zoo_core.cli.plugins import warn_of_broken
from zoo_core.errors import BadSetting
from zoo_core.registry.catalog import Catalog
from zoo_core.training.signals import exits_on_interrupt


@click.command("sweep")
@click.argument("recipe", required=False, type=RecipeName())
@click.argument("words", metavar="[KEY=VALUES]...", nargs=-1)
@click.option("--trials", type=click.IntRange(min=1), help="Runs in all; otherwise every combination of the choices.")
@click.option("--metric", help="Figure whose highest value is the best; -NAME: whose lowest.")
@click.option("--sampler", type=click.Choice(["auto", "grid", "random", "tpe"]), help="Who chooses the settings.")
@click.option("--pruner", type=click.Choice(["none", "median"]), help="Who stops runs that go badly.")
@click.option("--seed", type=click.IntRange(min=0), help="What is drawn follows from it; 0 if not given.")
@click.option("--device", help="cpu, cuda, cuda:1, mps, xpu; otherwise an accelerator if there is one.")
@click.option("--registry", multiple=True, type=click.Path(path_type=Path), help="A further registry.yaml.")
@click.option("--folder", type=click.Path(path_type=Path), help="Where it all goes; otherwise sweeps/RECIPE/TIME.")
@click.option(
    "--storage", metavar="URL", help="A database that several machines share; otherwise a file in the folder."
)
@click.option("--name", help="Of the sweep in a shared storage; otherwise the recipe's.")
@click.option("--resume", metavar="SWEEP_DIR|last", help="Go on with, or help with, the sweep in this folder.")
@click.option("--show", metavar="SWEEP_DIR|last", help="Show how far a sweep is, and run nothing.")
@click.option("--time-limit", type=Duration(), help="Stop and save after so long (55m, 1h30m), with exit code 124.")
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
@common_options
def command(
    recipe: str | None,
    words: tuple[str, ...],
    device: str | None,
    registry: tuple[Path, ...],
    resume: str | None,
    show: str | None,
    time_limit: float | None,
    as_json: bool,
    **asked: Any,
) -> int:
    """Train RECIPE again and again with other settings, and say which did best.

    \b
    zoo sweep digit-classifier-mnist trainer.learning_rate=1e-4,1e-3,1e-2 --metric accuracy
    zoo sweep unet-frames trainer.learning_rate=log:1e-4..1e-2 model.width=16..64 --metric=-mse --trials 30
    zoo sweep --resume last

    a,b,c are choices, 1..8 and 0.0..0.5 ranges, log:1e-4..1e-2 a range of magnitudes; [1,2],[3,4] are two lists. A
    recipe's section `sweep` may say all of it. Every trial is a run in the sweep's folder.

    Exit codes: 0 done, 1 no trial came to its end, 2 a mistake in what was asked for, 124 stopped by --time-limit, 130
    by Ctrl-C, 143 by SIGTERM; what was stopped goes on with --resume.
    """
    if (recipe is not None) + (resume is not None) + (show is not None) != 1:
        raise click.UsageError("give one of RECIPE, --resume SWEEP_DIR and --show SWEEP_DIR.")
    with exits_on_interrupt():
        from zoo_core.tools.sweep.requirements import check_packages, check_single_process

        check_packages()
        if show is not None:
            _refuse_others("shown", {**asked, "device": device, "time-limit": time_limit}, {"storage"})
            return _show(show, asked["storage"], as_json)
        check_single_process()
        here = Catalog(registry)
        warn_of_broken(here)
        from zoo_core.tools.sweep import start as beginning

        if resume is not None:
            _refuse_others("resumed", asked, {"storage", "trials"})
            begun = beginning.resume_sweep(resume, asked["storage"], asked["trials"], device)
        else:
            begun = beginning.create_sweep(here, recipe or "", [*words, *_device_word(device)], **asked)
    from zoo_core.cli.sweep_report import Narrator

    return Narrator(begun, here, as_json).run(time_limit)


def _show(show: str, storage: str | None, as_json: bool) -> int:
    from zoo_core.cli.sweep_report import report
    from zoo_core.tools.sweep import start as beginning

    report(beginning.open_sweep(show, storage), as_json)
    return 0


def _refuse_others(what: str, asked: dict[str, Any], allowed: set[str]) -> None:
    """Of a sweep that was begun the rest stands in its folder."""
    for option, value in asked.items():
        if value is not None and option not in allowed:
            raise BadSetting(
                f"a sweep that is {what} keeps what it began with, so --{option} cannot be given.", "Leave it out."
            )


def _device_word(device: str | None) -> list[str]:
    return [f"run.device={device}"] if device else []
