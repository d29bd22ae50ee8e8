"""``sweep.png``: the value of every trial, in their order and against each setting."""

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
_LOOKS = {"done": ("#2563a8", "o"), "pruned": ("#9aa5b1", "x"), "running": ("#9aa5b1", ".")}
_BEST = "#d9480f"


def draw(trials: Sequence[Trial], plan: Plan, path: Path) -> None:
    """Write the picture to ``path``."""
    from matplotlib.figure import Figure

    shown = [trial for trial in trials if trial.state in _LOOKS and math.isfinite(_value(trial))]
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
    cut = _between([_value(trial) for trial in shown], plan.settings.lowest)
    if cut:
        axes[0].set_ylim(*cut)
    direction = "lowest" if plan.settings.lowest else "highest"
    told = f": {direction} {best.value:.4g}, trial {best.number}" if best and best.value is not None else ""
    left_out = sum(not cut[0] <= _value(trial) <= cut[1] for trial in shown) if cut else 0
    outside = f" ({left_out} outside the picture)" if left_out else ""
    figure.suptitle(f"{plan.recipe.name}{told}{outside}", fontsize=11)
    with replacing(path) as temporary:
        figure.savefig(temporary, dpi=120, format="png")


def _history(panel: Axes, trials: Sequence[Trial], best: Trial | None) -> None:
    panel.set_xlabel("trial")
    _in_whole_numbers(panel)
    _points(panel, trials, [float(trial.number) for trial in trials], best)
    if len({trial.state for trial in trials}) > 1:
        panel.legend(loc="best", fontsize=8, frameon=False)


def _against(panel: Axes, key: str, axis: Axis, trials: Sequence[Trial], best: Trial | None) -> None:
    panel.set_xlabel(key)
    known = [trial for trial in trials if key in trial.texts]
    if isinstance(axis, Range):
        if axis.log:
            panel.set_xscale("log")
        elif axis.whole:
            _in_whole_numbers(panel)
        _points(panel, known, [float(trial.texts[key]) for trial in known], best)
        return
    panel.set_xticks(range(len(axis.texts)), [_short(text) for text in axis.texts])
    panel.set_xlim(-0.5, len(axis.texts) - 0.5)
    _points(panel, known, [float(axis.texts.index(trial.texts[key])) for trial in known], best)


def _points(panel: Axes, trials: Sequence[Trial], places: Sequence[float], best: Trial | None) -> None:
    for state, (color, marker) in _LOOKS.items():
        here = [(place, _value(trial)) for place, trial in zip(places, trials, strict=True) if trial.state == state]
        if here:
            across, up = zip(*here, strict=True)
            panel.scatter(across, up, s=28, c=color, marker=marker, label=state)
    for place, trial in zip(places, trials, strict=True):
        if trial is best:
            panel.scatter([place], [_value(trial)], facecolors="none", edgecolors=_BEST, s=110, linewidths=1.8)
    panel.grid(alpha=0.25)
    panel.spines[["top", "right"]].set_visible(False)


def _in_whole_numbers(panel: Axes) -> None:
    from matplotlib.ticker import MaxNLocator

    panel.xaxis.set_major_locator(MaxNLocator(integer=True))


def _between(values: Sequence[float], lowest: bool) -> tuple[float, float] | None:
    """Where to cut the picture, so that a trial that went far astray does not press all others into a line."""
    ordered = sorted(values, reverse=not lowest)
    if len(ordered) < 4:
        return None
    best, middle, worst = ordered[0], ordered[len(ordered) // 2], ordered[-1]
    edge = middle + 4 * (middle - best)
    if edge == best or abs(worst - best) <= 2 * abs(edge - best):
        return None
    margin = 0.05 * (best - edge)
    return min(best + margin, edge), max(best + margin, edge)


def _value(trial: Trial) -> float:
    return math.nan if trial.value is None else trial.value


def _short(text: str) -> str:
    return text if len(text) <= 14 else f"{text[:13]}…"
