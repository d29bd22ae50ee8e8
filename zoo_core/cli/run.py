"""``zoo run``"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from zoo_core.catalog import Catalog
from zoo_core.cli import common_options
from zoo_core.cli.names import RecipeName
from zoo_core.cli.plugins import warn_of_broken
from zoo_core.errors import BadSetting
from zoo_core.folder import RUNS, RunFolder
from zoo_core.interrupt import EXIT_CODES, exits_on_interrupt
from zoo_core.recipes import Recipe, read_config

if TYPE_CHECKING:
    from zoo_core.run_state import Run


@click.command("run")
@click.argument("recipe", required=False, type=RecipeName())
@click.argument("overrides", metavar="[KEY=VALUE]...", nargs=-1)
@click.option("--device", help="cpu, cuda, cuda:1, mps, xpu; otherwise an accelerator if there is one.")
@click.option("--registry", multiple=True, type=click.Path(path_type=Path), help="A further registry.yaml.")
@click.option("--config", type=click.Path(path_type=Path), help="A run's config.yaml, in place of a recipe's name.")
@click.option("--folder", type=click.Path(path_type=Path), help="Where the run goes; otherwise runs/RECIPE/TIME.")
@click.option("--resume", type=click.Path(path_type=Path), help="Go on with the run in this folder.")
@click.option("--print-config", is_flag=True, help="Print the resolved recipe and stop.")
@common_options
def command(
    recipe: str | None,
    overrides: tuple[str, ...],
    device: str | None,
    registry: tuple[Path, ...],
    config: Path | None,
    folder: Path | None,
    resume: Path | None,
    print_config: bool,
) -> int:
    """Train RECIPE, with settings of your own behind it.

    \b
    zoo run clsgan-mnist
    zoo run clsgan-mnist trainer.generator_learning_rate=1e-4 run.steps=2000
    """
    if device:
        overrides = (*overrides, f"run.device={device}")
    if recipe and "=" in recipe:  # `zoo run --config FILE key=value` has no recipe
        overrides, recipe = (recipe, *overrides), None
    if sum(given is not None for given in (recipe, config, resume)) != 1:
        raise click.UsageError("give one of RECIPE, --config FILE and --resume RUN_DIR; `zoo list` shows the recipes.")
    if resume and folder:
        raise BadSetting("a resumed run stays in its folder, so --folder cannot be given.", "Leave it out.")
    if resume and overrides:
        raise BadSetting(
            f"a resumed run keeps its settings, so {overrides[0]} cannot be set.",
            "Leave it out, or start a new run: zoo run --config " + str(RunFolder(resume).config),
        )
    here = Catalog(registry)
    warn_of_broken(here)
    chosen = _choose(here, recipe, config, resume, overrides)

    with exits_on_interrupt():
        from zoo_core.runner import complete

        chosen = complete(chosen, here)
    if print_config:
        click.echo(chosen.as_yaml(), nl=False)
        return 0
    return _train(chosen, here, folder, resume)


def _choose(
    here: Catalog, recipe: str | None, config: Path | None, resume: Path | None, overrides: Iterable[str]
) -> Recipe:
    if recipe is not None:
        return here.recipe(recipe, *overrides)
    if resume is not None and not RunFolder(resume).config.is_file():
        raise BadSetting(f"{resume} is no run's folder: it holds no config.yaml.", f"`ls {RUNS}` shows where runs lie.")
    return read_config(config if config is not None else RunFolder(resume or Path()).config).with_overrides(overrides)


def _train(recipe: Recipe, here: Catalog, folder: Path | None, resume: Path | None) -> int:
    from rich.console import Console

    from zoo_core.observers import standard
    from zoo_core.observers.progress import Progress
    from zoo_core.runner import resume_run, run_recipe

    observers = [*standard(), Progress(Console(stderr=True))]
    run = resume_run(resume, here, observers) if resume else run_recipe(recipe, here, observers, folder)
    _report(run)
    return EXIT_CODES.get(run.stopping, 0)


def _report(run: Run) -> None:
    """Where the run lies, its last figures, and what to type to look at the result."""
    from zoo_core.observers.progress import numbers

    done = f"stopped by {run.stopping} at" if run.stopping else "done,"
    lines: list[Any] = [f"{run.name}: {done} step {run.step:,}", f"  run      {run.path}"]
    lines += [f"  metrics  {numbers(run.metrics)}"] if run.metrics else []
    lines += [f"  figures  {numbers(run.figures)}"] if run.figures else []
    if run.stopping:
        lines.append(f"  go on    zoo run --resume {run.path}")
    if type(run.model).predict.__qualname__ != "Model.predict":
        lines.append(f"  look     zoo predict {run.path} {run.model.usage()}")
    lines.append(f"  curves   tensorboard --logdir {run.path}")
    click.echo("\n".join(lines))
