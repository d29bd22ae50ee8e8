"""The picture of a learning rate range test."""

from __future__ import annotations

import math
from pathlib import Path

from zoo_core.files import replacing
from zoo_core.tools.tune.learning_rate import RangeTest


def draw(found: RangeTest, title: str, path: Path) -> None:
    """Draw the losses against the learning rates into the file ``path``, in the format of its ending."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6.4, 4), layout="constrained")
    axes = figure.subplots()
    axes.plot(found.rates, found.losses, color="#9aa5b1", linewidth=0.8, label="loss of a step")
    axes.plot(found.rates, found.smoothed, color="#2563a8", label="moving average")
    if found.suggestion is not None:
        axes.axvline(found.suggestion, color="#d9480f", linestyle="--", label=f"steepest: {found.suggestion:.2g}")
    axes.set_xscale("log")
    shown = [loss for loss in found.smoothed if math.isfinite(loss)]
    if shown:
        margin = 0.1 * (max(shown[0], min(shown)) - min(shown)) or 1.0
        axes.set_ylim(min(shown) - margin, max(shown[0], min(shown)) + 3 * margin)
    axes.set_xlabel("learning rate")
    axes.set_ylabel(found.metric)
    axes.set_title(title, fontsize=11)
    axes.grid(alpha=0.25)
    axes.legend(fontsize=8, frameon=False)
    with replacing(path) as temporary:
        figure.savefig(temporary, dpi=120, format=path.suffix.removeprefix(".") or "png")
