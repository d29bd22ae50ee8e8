"""``sweep.png``: the metric of every trial, by trial number and against each setting."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from zoo_core.files import replacing
from zoo_core.tools.sweep.plan import Plan
from zoo_core.tools.sweep.results import best_of
from zoo_core.tools.sweep.space import Axis, Range
from zoo_core.tools.sweep.study import Trial

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_COLUMNS = 3
_STYLES = {"done": ("#2563a8", "o"), "pruned": ("#9aa5b1", "x"), "running": ("#9aa5b1", ".")}
_BEST = "#d9480f"


def draw(trials: Sequence[Trial], plan: Plan, path: Path) -> None:
    """Draw the plot into the file ``path``."""
    from matplotlib.figure import Figure

    shown = [trial for trial in trials if trial.state in _STYLES and math.isfinite(_value(trial))]
    panels = 1 + len(plan.space)
    columns = 2 if panels == 4 else min(panels, _COLUMNS)
    rows = math.ceil(panels / columns)
    figure = Figure(figsize=(4 * columns, 3.2 * rows), layout="constrained")
    grid = figure.subplots(rows, columns, squeeze=False, sharey=True)
    axes: list[Axes] = [panel for row in grid for panel in row]
    best = best_of(shown, plan)
    _history(axes[0], shown, best)
    for panel, (key, axis) in zip(axes[1:], plan.space.items(), strict=False):
        _against(panel, key, axis, shown, best)
    for panel in axes[panels:]:
        panel.remove()
    for row in grid:
        row[0].set_ylabel(plan.settings.name)
    limits = _limits([_value(trial) for trial in shown], plan.settings.minimize)
    if limits:
        axes[0].set_ylim(*limits)
    direction = "lowest" if plan.settings.minimize else "highest"
    best_text = f": {direction} {best.value:.4g}, trial {best.number}" if best and best.value is not None else ""
    num_outside = sum(not limits[0] <= _value(trial) <= limits[1] for trial in shown) if limits else 0
    outside = f" ({num_outside} outside the plot)" if num_outside else ""
    figure.suptitle(f"{plan.recipe.name}{best_text}{outside}", fontsize=11)
    with replacing(path) as temporary:
        figure.savefig(temporary, dpi=120, format="png")


def _history(panel: Axes, trials: Sequence[Trial], best: Trial | None) -> None:
    panel.set_xlabel("trial")
    _use_integer_ticks(panel)
    _scatter(panel, trials, [float(trial.number) for trial in trials], best)
    if len({trial.state for trial in trials}) > 1:
        panel.legend(loc="best", fontsize=8, frameon=False)


def _against(panel: Axes, key: str, axis: Axis, trials: Sequence[Trial], best: Trial | None) -> None:
    panel.set_xlabel(key)
    known = [trial for trial in trials if key in trial.params]
    if isinstance(axis, Range):
        if axis.log:
            panel.set_xscale("log")
        elif axis.is_int:
            _use_integer_ticks(panel)
        _scatter(panel, known, [float(trial.params[key]) for trial in known], best)
        return
    panel.set_xticks(range(len(axis.texts)), [_short(text) for text in axis.texts])
    panel.set_xlim(-0.5, len(axis.texts) - 0.5)
    _scatter(panel, known, [float(axis.texts.index(trial.params[key])) for trial in known], best)


def _scatter(panel: Axes, trials: Sequence[Trial], positions: Sequence[float], best: Trial | None) -> None:
    for state, (color, marker) in _STYLES.items():
        points = [(x, _value(trial)) for x, trial in zip(positions, trials, strict=True) if trial.state == state]
        if points:
            xs, ys = zip(*points, strict=True)
            panel.scatter(xs, ys, s=28, c=color, marker=marker, label=state)
    for x, trial in zip(positions, trials, strict=True):
        if trial is best:
            panel.scatter([x], [_value(trial)], facecolors="none", edgecolors=_BEST, s=110, linewidths=1.8)
    panel.grid(alpha=0.25)
    panel.spines[["top", "right"]].set_visible(False)


def _use_integer_ticks(panel: Axes) -> None:
    from matplotlib.ticker import MaxNLocator

    panel.xaxis.set_major_locator(MaxNLocator(integer=True))


def _limits(values: Sequence[float], minimize: bool) -> tuple[float, float] | None:
    """The limits of the y axis if there are outliers, so that the other trials stay distinguishable; otherwise None."""
    ordered = sorted(values, reverse=not minimize)
    if len(ordered) < 4:
        return None
    best, median, worst = ordered[0], ordered[len(ordered) // 2], ordered[-1]
    edge = median + 4 * (median - best)
    if edge == best or abs(worst - best) <= 2 * abs(edge - best):
        return None
    margin = 0.05 * (best - edge)
    return min(best + margin, edge), max(best + margin, edge)


def _value(trial: Trial) -> float:
    return math.nan if trial.value is None else trial.value


def _short(text: str) -> str:
    return text if len(text) <= 14 else f"{text[:13]}…"
