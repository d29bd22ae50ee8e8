"""``zoo run``"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING

import click

from zoo_core.cli import common_options, open_catalog
from zoo_core.cli.durations import Duration
from zoo_core.cli.names import RecipeName
from zoo_core.cli.options import device_option, registry_option
from zoo_core.cli.plugins import warn_of_refused
from zoo_core.config.command_line import resume_command, shown, zoo_command
from zoo_core.config.recipe import Recipe, read_config
from zoo_core.engine.rank import end_with_launcher, is_launched, is_rank_zero
from zoo_core.errors import BadSetting
from zoo_core.registry.catalog import Catalog
from zoo_core.runs.folder import RunFolder
from zoo_core.runs.paths import RUNS, new_path, run_called
from zoo_core.terminal import console, say, say_text
from zoo_core.training.signals import EXIT_CODES

if TYPE_CHECKING:
    from zoo_core.registry.resolve import ResolvedRecipe
    from zoo_core.runs.run import Run


@click.command("run")
@click.argument("recipe", required=False, type=RecipeName())
@click.argument("overrides", metavar="[KEY=VALUE]...", nargs=-1)
@device_option
@registry_option
@click.option("--config", type=click.Path(path_type=Path), help="The config.yaml of a run, instead of a recipe's name.")
@click.option("--folder", type=click.Path(path_type=Path), help="The folder of the run; by default runs/RECIPE/TIME.")
@click.option("--resume", metavar="RUN_DIR|last", help="Resume the run in this folder, or the last one.")
@click.option("--allow-changed-data", is_flag=True, help="Resume although the data have changed.")
@click.option("--allow-changed-code", is_flag=True, help="Resume although the code of a plugin has changed.")
@click.option("--time-limit", type=Duration(), help="Save and stop after this time (55m, 1h30m), with exit code 124.")
@click.option("--processes", type=click.IntRange(1), help="Train in this number of processes on this machine.")
@click.option("--print-config", is_flag=True, help="Print the resolved recipe and exit.")
@common_options
def command(
    recipe: str | None,
    overrides: tuple[str, ...],
    device: str | None,
    registry: tuple[Path, ...],
    config: Path | None,
    folder: Path | None,
    resume: str | None,
    allow_changed_data: bool,
    allow_changed_code: bool,
    time_limit: float | None,
    processes: int | None,
    print_config: bool,
) -> int:
    """Train RECIPE, with its settings overridden by KEY=VALUE.

    \b
    zoo run clsgan-mnist
    zoo run clsgan-mnist trainer.generator_learning_rate=1e-4 run.steps=2000
    zoo run --resume last
    zoo run unet-moving-mnist-large --processes 4

    Exit codes: 0 done, 1 the run failed, 2 invalid arguments or settings, 124 stopped by --time-limit, 129 by SIGHUP,
    130 by Ctrl-C, 143 by SIGTERM. A stopped run can be resumed with --resume.
    """
    if device:
        overrides = (*overrides, f"run.device={device}")
    if recipe and "=" in recipe:  # `zoo run --config FILE key=value` has no recipe
        overrides, recipe = (recipe, *overrides), None
    if (recipe is None) + (config is None) + (resume is None) == 3 or (recipe and config):
        raise click.UsageError("give one of RECIPE, --config FILE and --resume RUN_DIR; `zoo list` shows the recipes.")
    if resume and folder:
        raise BadSetting("a resumed run stays in its folder, so --folder cannot be given.", "Leave it out.")
    allowed = {"allow_changed_data": allow_changed_data, "allow_changed_code": allow_changed_code}
    catalog = open_catalog(registry)
    warn_of_refused(catalog)
    resumed = None if resume is None else run_called(resume, "zoo run --resume RUN_DIR")
    chosen = _choose(catalog, recipe, config, resumed, overrides)

    from zoo_core.registry.resolve import resolve

    resolved = resolve(chosen, catalog)
    if print_config:
        say_text(resolved.recipe.as_yaml())
        return 0
    if processes is None or processes == 1:
        return train(resolved, resumed or folder, resumed is not None, time_limit, **allowed)
    from zoo_core.engine.launcher import launch

    arguments = _arguments(recipe, overrides, registry, config, time_limit)
    if resumed is None:
        place = folder or new_path(RUNS, chosen.name)
        return launch([*arguments, "--folder", str(place)], processes, place)
    arguments += [f"--{name.replace('_', '-')}" for name, given in allowed.items() if given]
    return launch([*arguments, "--resume", str(resumed)], processes, resumed)


def _choose(
    catalog: Catalog, recipe: str | None, config: Path | None, resumed: Path | None, overrides: Iterable[str]
) -> Recipe:
    if recipe is not None:
        return catalog.recipe(recipe, *overrides)
    if config is not None:
        return read_config(config).with_overrides(overrides)
    from zoo_core.training.resume import recipe_of

    return recipe_of(RunFolder(resumed or Path())).with_overrides(overrides)


def _arguments(
    recipe: str | None,
    overrides: Iterable[str],
    registry: Iterable[Path],
    config: Path | None,
    time_limit: float | None,
) -> list[str]:
    """The arguments of each process: those of this command, except the number of processes and the folder."""
    arguments = ["run", *([recipe] if recipe else []), *overrides]
    arguments += [word for file in registry for word in ("--registry", str(file))]
    arguments += ["--config", str(config)] if config else []
    return arguments + (["--time-limit", f"{time_limit:.0f}s"] if time_limit else [])


def train(
    resolved: ResolvedRecipe,
    folder: Path | None,
    resume: bool = False,
    time_limit: float | None = None,
    **allowed: bool,
) -> int:
    """Train in this process, show the progress and the result, and return the exit code."""
    from zoo_core.engine.process_group import tells_of_lost_process
    from zoo_core.loggers import loggers_of
    from zoo_core.loggers.progress import Progress
    from zoo_core.runs.sessions import process_lost
    from zoo_core.training.runner import run_recipe

    resolved.load()

    if is_launched():
        end_with_launcher()
    callbacks = [*loggers_of(resolved), Progress(console(err=True))]
    try:
        run = run_recipe(resolved, callbacks, folder, resume, time_limit, **allowed)
    except RuntimeError as error:  # before the first step; later the run itself says so
        if is_launched() and tells_of_lost_process(error):
            raise process_lost("before the first step", folder or Path(RUNS)) from error
        raise
    if not is_rank_zero():  # a launcher would end the first process if another had an exit code that is not 0
        return 0
    _report(run)
    return EXIT_CODES.get(run.stopping, 0)


def _report(run: Run) -> None:
    """Print where the run is, its last metrics, and what to type to look at the result."""
    from zoo_core.loggers.progress import format_metrics

    done = f"done ({run.finishing})," if run.finishing else "done,"
    done = f"stopped by {run.stopping} at" if run.stopping else done
    rows = {"run": shown(run.path), "train metrics": format_metrics(run.train_metrics)}
    if not run.test_metrics:  # else the last validation is of an earlier step
        rows["validation metrics"] = format_metrics(run.validation_metrics)
    if run.weights_step != run.step:
        rows["weights"] = f"of step {run.weights_step:,}, the best by {run.settings.monitor}"
    rows["test metrics"] = format_metrics(run.test_metrics)
    if run.stopping:
        rows["resume"] = resume_command(run.path)
    if type(run.model).predict.__qualname__ != "Model.predict":
        rows["predict"] = zoo_command(f"predict {quote(shown(run.path))} {run.model.usage()}".rstrip())
    if "tensorboard" in run.settings.loggers:
        rows["curves"] = f"tensorboard --logdir {quote(shown(run.path))}"
    width = max(len(name) for name, text in rows.items() if text)
    lines = [f"  {name:<{width}}  {text}" for name, text in rows.items() if text]
    say(f"{run.name}: {done} step {run.step:,}", *lines)
