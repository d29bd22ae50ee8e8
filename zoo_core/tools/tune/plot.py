"""The picture of a learning rate range test."""

from __future__ import annotations

import math
from pathlib import Path
from tempfile import TemporaryFile

from zoo_core.errors import BadFile, BadSetting
from zoo_core.files import replacing
from zoo_core.tools.tune.learning_rate import RangeTest


def check_output(path: Path) -> None:
    """Check, before the steps that it shows, that a picture can become the file ``path``.

    Raises:
        BadFile: if its folder does not exist, or cannot be written to.
        BadSetting: if the ending is not that of a format.
    """
    from matplotlib.figure import Figure

    formats = Figure().canvas.get_supported_filetypes()
    if _format_of(path) not in formats:
        raise BadSetting(
            f"-o {path} does not end like a picture, but in {path.suffix}.",
            f"Write for example `-o {path.with_suffix('.png')}`; the formats are {', '.join(formats)}.",
        )
    if not path.parent.is_dir():
        raise BadFile(f"the folder {path.parent} does not exist.", f"Create it first: mkdir -p {path.parent}")
    try:
        with TemporaryFile(dir=path.parent):  # permissions alone do not tell
            pass
    except OSError as error:
        raise BadFile(
            f"no file can be written in the folder {path.parent}: {error.strerror}.", "Choose another `-o FILE`."
        ) from error


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
        figure.savefig(temporary, dpi=120, format=_format_of(path))


def _format_of(path: Path) -> str:
    return path.suffix.removeprefix(".").lower() or "png"
