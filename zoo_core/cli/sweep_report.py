"""The output of ``zoo sweep``: the start and the end of each trial, and the results of the sweep."""

from __future__ import annotations

import json
import warnings
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING

from zoo_core.cli.table import show
from zoo_core.config.command_line import zoo_command
from zoo_core.engine.shutdown import received
from zoo_core.errors import ZooError
from zoo_core.registry.catalog import Catalog
from zoo_core.terminal import console, say, say_text
from zoo_core.tools.sweep.folder import SweepFolder
from zoo_core.tools.sweep.plan import Plan
from zoo_core.tools.sweep.plot import draw
from zoo_core.tools.sweep.results import as_dict, as_rows, best_of, location_of, overrides_of, write_table
from zoo_core.tools.sweep.space import as_overrides
from zoo_core.tools.sweep.start import Sweep
from zoo_core.tools.sweep.study import Trial
from zoo_core.training.signals import EXIT_CODES

if TYPE_CHECKING:
    from zoo_core.registry.resolve import ResolvedRecipe


class SweepReporter:
    """Runs a sweep and prints its progress and results."""

    def __init__(self, sweep: Sweep, catalog: Catalog, as_json: bool) -> None:
        self._sweep, self._catalog, self._as_json = sweep, catalog, as_json

    def run(self, seconds: float | None) -> int:
        """Run trials until none is left or ``seconds`` have passed; returns the exit code of the command."""
        from zoo_core.tools.sweep.trials import TrialRunner

        sweep = self._sweep
        trials = f"{sweep.plan.trials:,} trials by {sweep.plan.settings.sampler}"
        say(f"sweep of {sweep.plan.recipe.name}: {trials}, in {sweep.folder.path}", err=True)
        worker = TrialRunner(sweep.folder, sweep.plan, sweep.study, self._catalog, self._callbacks, self._print_trial)
        stopped = worker.run(seconds)
        trials_now = report(sweep, self._as_json, self._catalog, stopped)
        if stopped:
            return EXIT_CODES[stopped]
        ended = [trial for trial in trials_now if trial.state != "running"]
        return int(bool(ended) and len(ended) == len(trials_now) and best_of(trials_now, sweep.plan) is None)

    def _callbacks(self, resolved: ResolvedRecipe) -> list[object]:
        from zoo_core.loggers import loggers_of
        from zoo_core.loggers.progress import Progress

        return [*loggers_of(resolved), Progress(console(err=True))]

    def _print_trial(self, trial: Trial) -> None:
        plan = self._sweep.plan
        value = f"{plan.settings.name} {trial.value:.4g}" if trial.value is not None else ""
        if trial.state == "running":
            number = f"trial {trial.number} ({trial.number + 1} of {plan.trials:,})"
            say(f"{number}: {' '.join(as_overrides(trial.params))}", err=True)
            return
        _write(self._sweep, self._sweep.study.trials(), plot=False)
        if trial.state == "failed":
            say(f"trial {trial.number} failed: {trial.notes['reason']}", err=True)
        elif trial.state == "pruned":
            say(f"trial {trial.number} pruned at step {trial.notes['step']:,}: {value}", err=True)
        else:
            say(f"trial {trial.number} done: {value}", err=True)


def report(sweep: Sweep, as_json: bool, catalog: Catalog | None = None, stopped: str = "") -> list[Trial]:
    """Write the results to the sweep's folder, and print them with the commands to use next."""
    trials = sweep.study.trials()
    _write(sweep, trials, plot=not received())  # which takes a second or more
    print_results(sweep.folder, sweep.plan, trials, as_json, catalog, stopped)
    return trials


def print_results(
    folder: SweepFolder,
    plan: Plan,
    trials: Sequence[Trial],
    as_json: bool,
    catalog: Catalog | None = None,
    stopped: str = "",
) -> None:
    """Print the results with the commands to use next. Writes nothing."""
    if as_json:
        best = best_of(trials, plan)
        result = {
            "recipe": plan.recipe.name,
            "folder": str(folder.path),
            "metric": plan.settings.metric,
            "num_trials": plan.trials,
            "stopped": stopped,
            "best": best and best.number,
            "trials": [as_dict(trial, folder) for trial in trials],
        }
        say_text(json.dumps(result, indent=2))
        return
    show(as_rows(trials, plan, folder), as_json=False)
    for trial in trials:
        if trial.state == "failed":
            say(f"trial {trial.number} failed: {trial.notes.get('reason', '')}")
    say("", *_summary(folder, plan, trials, catalog, stopped))


def _write(sweep: Sweep, trials: Sequence[Trial], plot: bool) -> None:
    """Write the results to the sweep's folder. An error, as of a full disk, is a warning."""
    try:
        with sweep.folder.exclusive():
            write_table(sweep.folder, trials, sweep.plan)
            if plot:
                draw(trials, sweep.plan, sweep.folder.plot)
    except OSError as error:
        warnings.warn(f"{sweep.folder.path} can't be written to: {error.strerror}. Results are missing.", stacklevel=2)


def _summary(
    sweep: SweepFolder, plan: Plan, trials: Sequence[Trial], catalog: Catalog | None, stopped: str
) -> list[str]:
    folder = sweep.path
    count = Counter(trial.state for trial in trials)
    states = ", ".join(f"{count[state]} {state}" for state in ("done", "pruned", "failed", "running") if count[state])
    stop = f"stopped by {stopped}, " if stopped else ""
    lines = [f"{plan.recipe.name}: {stop}{states or 'none started'}, of {plan.trials:,} trials"]
    lines += [f"  sweep    {folder}", *([f"  plot     {sweep.plot}"] if sweep.plot.is_file() else [])]
    best = best_of(trials, plan)
    if best is not None:
        lines += [
            f"  best     trial {best.number}, {plan.settings.name} {best.value:.4g}",
            f"  train    {zoo_command(f'run {_recipe_of(best, plan, sweep)}')}",
        ]
        lines += _predict_line(Path(location_of(best, sweep)), catalog)
    if len(trials) < plan.trials or count["running"]:
        lines.append(f"  resume   {zoo_command(f'sweep --resume {quote(str(folder))}')}")
    return [*lines, f"  curves   tensorboard --logdir {folder}"]


def _recipe_of(best: Trial, plan: Plan, sweep: SweepFolder) -> str:
    """The recipe of a trial as it was, also if its registry has changed since."""
    config = Path(location_of(best, sweep)) / "config.yaml"
    return f"--config {quote(str(config))}" if config.is_file() else overrides_of(best, plan)


def _predict_line(folder: Path, catalog: Catalog | None) -> list[str]:
    """How to predict with the best run, if its weights are on this machine and its model implements predict."""
    if catalog is None or not (folder / "model.safetensors").is_file():
        return []
    from zoo_core.weights.load import load

    try:
        model, _ = load(folder, catalog)
    except ZooError as error:  # the results of the sweep are still valid
        return [f"  predict  not possible: {error.message}"]
    if type(model).predict.__qualname__ == "Model.predict":
        return []
    return [f"  predict  {zoo_command(f'predict {quote(str(folder))} {model.usage()}'.rstrip())}"]
