"""``zoo sweep``"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from zoo_core.cli import common_options, open_catalog, registries_in_environment
from zoo_core.cli.durations import Duration
from zoo_core.cli.names import RecipeName
from zoo_core.cli.options import device_option, json_option, registry_option
from zoo_core.cli.plugins import warn_of_refused
from zoo_core.errors import BadSetting


@click.command("sweep")
@click.argument("recipe", required=False, type=RecipeName())
@click.argument("words", metavar="[KEY=VALUES]...", nargs=-1)
@click.option("--trials", type=click.IntRange(min=1), help="Number of runs; by default every combination.")
@click.option("--metric", help="Metric to maximize, or to minimize as -NAME.")
@click.option("--sampler", type=click.Choice(["auto", "grid", "random", "tpe"]), help="How settings are chosen.")
@click.option("--pruner", type=click.Choice(["none", "median"]), help="How unpromising runs are stopped early.")
@click.option("--seed", type=click.IntRange(min=0), help="Seed of the sampler; by default 0.")
@device_option
@registry_option
@click.option("--folder", type=click.Path(path_type=Path), help="Folder of the sweep; by default sweeps/RECIPE/TIME.")
@click.option("--storage", metavar="URL", help="Database that several machines share; by default a file in the folder.")
@click.option("--name", help="Name of the sweep in a shared storage; by default the recipe's.")
@click.option("--resume", metavar="SWEEP_DIR|last", help="Resume or join the sweep in this folder, or the last one.")
@click.option("--show", metavar="SWEEP_DIR|last", help="Show the results so far without running anything.")
@click.option("--time-limit", type=Duration(), help="Stop and save after this time (55m, 1h30m), with exit code 124.")
@json_option
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
    **options: Any,
) -> int:
    """Train RECIPE with different settings and compare the results.

    \b
    zoo sweep digit-classifier-mnist trainer.learning_rate=1e-4,1e-3,1e-2 --metric accuracy
    zoo sweep unet-frames trainer.learning_rate=log:1e-4..1e-2 model.base_channels=16..64 --metric=-mse --trials 30
    zoo sweep --resume last

    a,b,c are choices, 1..8 and 0.0..0.5 ranges, log:1e-4..1e-2 is a logarithmic range; [1,2],[3,4] are two lists. All
    of this can also be given in the section `sweep` of a recipe. Every trial is a run in the sweep's folder.

    Exit codes: 0 done, 1 no trial finished, 2 usage error, 124 stopped by --time-limit, 130 by Ctrl-C, 143 by SIGTERM.
    A stopped sweep can be resumed with --resume.
    """
    if (recipe is not None) + (resume is not None) + (show is not None) != 1:
        raise click.UsageError("give one of RECIPE, --resume SWEEP_DIR and --show SWEEP_DIR.")
    from zoo_core.tools.sweep.requirements import check_packages, check_single_process

    check_packages()
    if show is not None:
        _refuse_others("shown", {**options, "device": device, "time-limit": time_limit}, {"storage"})
        return _show(show, options["storage"], as_json)
    check_single_process()
    catalog = open_catalog(registry)
    warn_of_refused(catalog)
    from zoo_core.tools.sweep import start as beginning

    if resume is not None:
        _refuse_others("resumed", options, {"storage", "trials"})
        started = beginning.resume_sweep(resume, options["storage"], options["trials"], device)
    else:
        started = beginning.create_sweep(catalog, recipe or "", [*words, *_device_override(device)], **options)
    from zoo_core.cli.sweep_report import SweepReporter

    return SweepReporter(started, catalog, as_json).run(time_limit)


def _show(show: str, storage: str | None, as_json: bool) -> int:
    from zoo_core.cli.sweep_report import print_results
    from zoo_core.tools.sweep import start as beginning

    folder, plan, trials = beginning.recorded(show, storage)
    with registries_in_environment(folder.registries):
        print_results(folder, plan, trials, as_json)
    return 0


def _refuse_others(action: str, options: dict[str, Any], allowed: set[str]) -> None:
    """Raise BadSetting for options that an existing sweep cannot take, since its folder contains their values."""
    for option, value in options.items():
        if value is not None and option not in allowed:
            raise BadSetting(
                f"a sweep that is {action} keeps its settings, so --{option} cannot be given.", "Leave it out."
            )


def _device_override(device: str | None) -> list[str]:
    return [f"run.device={device}"] if device else []
