"""``zoo fit``"""

from __future__ import annotations

import re
import time
from contextlib import nullcontext
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Any

import click

from zoo_core.cli import common_options, open_catalog
from zoo_core.cli.options import device_option, registry_option
from zoo_core.config.command_line import shown, zoo_command
from zoo_core.engine.shutdown import saves_nothing
from zoo_core.errors import RunFailed, ZooError, raised
from zoo_core.terminal import say

if TYPE_CHECKING:
    from zoo_core.registry.catalog import Catalog
    from zoo_core.registry.resolve import ResolvedRecipe
    from zoo_core.registry.task import Budget
    from zoo_core.tools.fit.plan import Planned, Recognized

_WIDEST = 40  # characters of the column of settings; a longer one, such as a list, moves its reason to the right
_UNITS = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "ki": 2**10, "mi": 2**20, "gi": 2**30}


class MemorySize(click.ParamType[int]):
    """Bytes as an integer, from ``4GB``."""

    name = "size"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        if isinstance(value, int):
            return value
        found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([kmg]i?|)b?", value.strip().lower())
        if not found or not float(found[1]):
            self.fail(f"'{value}' is not a size of memory. Write for example 4GB, 512MB or 8GiB.", param, ctx)
        return int(float(found[1]) * _UNITS[found[2]])


@click.command("fit")
@click.argument("folder", type=click.Path(path_type=Path))
@click.argument("overrides", metavar="[KEY=VALUE]...", nargs=-1)
@click.option("--task", help="The task, if several fit; `zoo list tasks` shows them.")
@click.option(
    "--minutes",
    type=click.FloatRange(min=0, min_open=True),
    default=20.0,
    show_default=True,
    help="Time for everything.",
)
@click.option("--memory", type=MemorySize(), help="Memory, such as 4GB; by default three quarters of what is free.")
@click.option("--plan-only", is_flag=True, help="Write the plan and exit.")
@click.option(
    "-o", "--output", type=click.Path(path_type=Path), help="A file for the plan, which is written before the training."
)
@click.option("--folder", "run_folder", type=click.Path(path_type=Path), help="The folder of the run.")
@device_option
@registry_option
@common_options
def command(
    folder: Path,
    overrides: tuple[str, ...],
    task: str | None,
    minutes: float,
    memory: int | None,
    plan_only: bool,
    output: Path | None,
    run_folder: Path | None,
    device: str | None,
    registry: tuple[Path, ...],
) -> int:
    """Train on the data in FOLDER: find out what they are, plan a recipe, train it, and evaluate it.

    \b
    zoo fit photos/                        # a folder for each class
    zoo fit cells/ --minutes 40            # images and masks
    zoo fit cells/ --plan-only             # writes plan.yaml, which zoo run --config trains
    zoo fit cells/ trainer.learning_rate=1e-3

    The plan is an ordinary recipe with a comment for each choice. It is also in the folder of the run.
    """
    started = time.perf_counter()

    from zoo_core.tools.fit.plan_file import PLAN, refuse_taken, written_plan

    if output or plan_only:
        refuse_taken(output or Path(PLAN))
    catalog = open_catalog(registry)
    words = (*overrides, *([f"run.device={device}"] if device else []))

    from zoo_core.tools.fit.plan import fit_to_budget, plan_and_resolve, recognize

    recognized = recognize(folder, catalog, task, words)
    _show_finding(recognized)
    chosen = [word.removeprefix("run.device=") for word in words if word.startswith("run.device=")]
    budget = _budget(minutes, memory, chosen[-1] if chosen else "auto")

    def tried(planned: Planned) -> Planned:
        say("trying some steps …")
        with saves_nothing():
            return fit_to_budget(planned, budget, catalog, time.perf_counter() - started)

    planned, resolved = plan_and_resolve(recognized, budget, words, catalog, tried)
    _show_plan(planned)
    path = output or (Path(PLAN) if plan_only else None)
    with written_plan(planned, path) if path else nullcontext():
        if path:
            say(f"wrote {path}", f"  train  {zoo_command(f'run --config {quote(str(path))}')}")
        return 0 if plan_only else _train(planned, resolved, catalog, run_folder)


def _budget(minutes: float, memory: int | None, device: str) -> Budget:
    from zoo_core.engine.devices import find_device
    from zoo_core.engine.memory import available_memory
    from zoo_core.registry.task import Budget

    found = find_device(device)
    return Budget(minutes, memory or available_memory(found) * 3 // 4, found.type)


def _show_finding(recognized: Recognized) -> None:
    finding = recognized.finding
    say(f"{recognized.folder}: {finding.summary}")
    for line in (*finding.details, *(f"left out: {line}" for line in finding.left_out)):
        say(f"  {line}")


def _show_plan(planned: Planned) -> None:
    say(f"plan for the task '{planned.recognized.entry.name}'")
    rows = []
    for key, reason in planned.reasons.items():
        part, _, name = key.partition(".")
        settings = planned.recipe.values.get(part, {})
        rows += [(f"{key}={settings[name]}", reason)] if name in settings else []
    width = min(_WIDEST, max((len(setting) for setting, _ in rows), default=0))
    for setting, reason in rows:
        say(f"  {setting:<{width}}  {reason}")


def _train(planned: Planned, resolved: ResolvedRecipe, catalog: Catalog, folder: Path | None) -> int:
    from zoo_core.cli.run import train
    from zoo_core.runs.paths import RUNS, new_path
    from zoo_core.tools.fit.results import keep_plan, write_results

    place = folder or new_path(RUNS, planned.recipe.name)
    code = train(resolved, place)
    keep_plan(planned, place)
    if code == 0:
        try:
            written = write_results(planned, place, catalog)
        except (ZooError, OSError) as error:  # not with exit code 2, after which there would be no run
            raise RunFailed(
                f"the run in {shown(place)} is done, but its report and its model card can't be written: "
                f"{raised(error).rstrip('.')}.",
                f"Write a report: {zoo_command(f'report {quote(shown(place))}')}",
            ) from error
        for what, path in written.items():
            say(f"  {what:<7}  {path}")
    return code
