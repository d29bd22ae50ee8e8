"""Render the reports of runs as one self-contained HTML file."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

from zoo_core.errors import BadFile, NameTaken
from zoo_core.files import write_atomically
from zoo_core.runs.folder import RunFolder
from zoo_core.tools.report.previews import MAX_BYTES, Previews, read_previews
from zoo_core.tools.report.read import RunReport

MARK = '<meta name="generator" content="zoo report">'


def write_report(runs: Sequence[RunReport], path: Path) -> None:
    """Write the page.

    Raises:
        NameTaken: if ``path`` is an existing file that is not a report.
        BadFile: if it can't be written.
    """
    check_overwrite(path)
    try:
        write_atomically(path, render(runs))
    except OSError as error:
        raise BadFile(f"{path} can't be written: {error.strerror}.", "Choose another -o FILE.") from error


def check_overwrite(path: Path) -> None:
    """Raise NameTaken if ``path`` is an existing file that ``zoo report`` did not write."""
    if not path.exists():
        return
    try:
        with path.open(encoding="utf-8", errors="replace") as file:
            is_report = MARK in file.read(1000)
    except OSError:  # a folder, or a file that can't be read
        is_report = False
    if not is_report:
        raise NameTaken(f"{path} already exists, and was not written by zoo report.", "Choose another -o FILE.")


def render(runs: Sequence[RunReport]) -> str:
    """The page as HTML. All values from run folders are escaped."""
    from jinja2 import Environment, PackageLoader, StrictUndefined
    from markupsafe import Markup

    environment = Environment(
        loader=PackageLoader("zoo_core.tools.report", "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"number": number, "duration": duration, "bytes": size}
    previews = [read_previews(RunFolder(run.path).previews, MAX_BYTES // len(runs)) for run in runs]
    labels = _labels(runs)
    tracks = _tracks(labels, previews)
    data = {
        "runs": labels,
        "charts": _charts(runs),
        "previews": [track["frames"] for track in tracks],
        "titles": [track["title"] for track in tracks],
    }
    return environment.get_template("page.html").render(
        mark=Markup(MARK),  # noqa: S704  # a constant
        css=Markup(_file("vendor/uPlot.min.css") + _file("page.css")),  # noqa: S704
        javascript=Markup(_file("vendor/uPlot.iife.min.js") + "\n" + _file("page.js")),  # noqa: S704
        data=Markup(_json_for_script(data)),  # noqa: S704  # escaped by the function
        title=", ".join(dict.fromkeys(run.recipe for run in runs)),
        runs=runs,
        labels=labels,
        tracks=tracks,
        notes=[(label, preview.note) for label, preview in zip(labels, previews, strict=True) if preview.note],
        without_previews=[label for label, preview in zip(labels, previews, strict=True) if not preview.tracks],
        charts=data["charts"],
        evaluations=_evaluations(runs),
        differing=_rows(runs, differing=True),
        settings=_rows(runs, differing=False),
        environments=_environments(runs),
    )


def number(value: float | None) -> str:
    """``value`` with four significant digits; a dash for None, NaN and infinity."""
    if value is None or not math.isfinite(value):
        return "–"  # noqa: RUF001  # a dash
    return f"{value:,}" if isinstance(value, int) else f"{value:.4g}"


def duration(seconds: float) -> str:
    whole = round(seconds)
    if whole < 60:
        return f"{seconds:.1f} s"
    hours, minutes = divmod(whole // 60, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {whole % 60} s"


def size(count: int) -> str:
    return f"{count / 2**20:,.0f} MiB"


def _file(name: str) -> str:
    return files("zoo_core.tools.report").joinpath(name).read_text(encoding="utf-8")


def _json_for_script(data: Any) -> str:
    """``data`` as JSON that is safe inside a <script> element."""
    text = json.dumps(data, allow_nan=False, ensure_ascii=True)
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _labels(runs: Sequence[RunReport]) -> list[str]:
    """The folder name of each run, preceded by the recipe if the recipes differ; full paths if names are equal."""
    several = len({run.recipe for run in runs}) > 1
    names = [run.path.resolve().name for run in runs]
    labels = [f"{run.recipe} {name}" if several else name for run, name in zip(runs, names, strict=True)]
    return labels if len(set(labels)) == len(labels) else [str(run.path) for run in runs]


def _charts(runs: Sequence[RunReport]) -> list[dict[str, Any]]:
    """A chart for each metric, with the curve of every run that has it; details (``mse/3``) come last."""
    keys = dict.fromkeys((curve.evaluation, curve.name) for run in runs for curve in run.curves)
    charts = []
    for evaluation, name in sorted(keys, key=lambda key: ("/" in key[1], key[0])):
        curves: list[dict[str, Any] | None] = []
        for run in runs:
            curve = next((one for one in run.curves if (one.evaluation, one.name) == (evaluation, name)), None)
            curves.append({"steps": curve.steps, "values": curve.values} if curve else None)
        if evaluation and all(curve is None or len(curve["steps"]) < 2 for curve in curves):
            continue  # a single evaluation is shown in the table of metrics only
        charts.append({"name": name, "evaluation": evaluation, "detail": "/" in name, "curves": curves})
    return charts


def _tracks(labels: Sequence[str], previews: Sequence[Previews]) -> list[dict[str, Any]]:
    """What is shown of every run under one name, with its title, such as ``text of first``."""
    return [
        {
            "run": number,
            "name": track.name,
            "kind": track.kind,
            "title": f"{track.name} of {label}" if track.name else f"of {label}",
            "frames": [{"step": frame.step, **frame.content} for frame in track.frames],
        }
        for number, (label, preview) in enumerate(zip(labels, previews, strict=True))
        for track in preview.tracks
    ]


def _evaluations(runs: Sequence[RunReport]) -> dict[str, Any]:
    """A row for each test metric, with its value in every run and in all published weights of their recipes."""
    published = {one.name: one.metrics for run in runs for one in run.published}
    columns = [run.test_metrics for run in runs]
    names = dict.fromkeys(name for metrics in (*columns, *published.values()) for name in metrics)
    rows = [
        (name, [metrics.get(name) for metrics in columns], [metrics.get(name) for metrics in published.values()])
        for name in names
    ]
    return {"published": list(published), "rows": rows, "measured": any(columns)}


def _rows(runs: Sequence[RunReport], differing: bool) -> list[dict[str, Any]]:
    """Rows of settings: either those that differ from the recipe or between the runs, or all the others."""
    by_run = [{one.key: one for one in run.settings} for run in runs]
    rows = []
    for key in dict.fromkeys(key for settings in by_run for key in settings):
        found = [settings.get(key) for settings in by_run]
        values = [one.value if one else None for one in found]
        unequal = len(set(values)) > 1
        if (unequal or any(one is not None and one.differs for one in found)) is not differing:
            continue
        in_recipe = {one.recipe for one in found if one is not None}
        recipe = in_recipe.pop() if len(in_recipe) == 1 else None
        marks = [one is not None and one.differs for one in found]
        rows.append({"key": key, "recipe": recipe, "cells": list(zip(values, marks, strict=True))})
    return rows


def _environments(runs: Sequence[RunReport]) -> list[tuple[str, list[str]]]:
    """The environments of the runs, a row for each entry."""
    columns = [_facts(run.environment) for run in runs]
    names = dict.fromkeys(name for facts in columns for name in facts)
    return [(name, [facts.get(name, "–") for facts in columns]) for name in names]  # noqa: RUF001


def _facts(environment: dict[str, Any], prefix: str = "") -> dict[str, str]:
    facts: dict[str, str] = {}
    for key, value in environment.items():
        if not prefix and key in ("warnings", "changed", "recipe"):
            continue  # shown elsewhere on the page
        if isinstance(value, dict):
            facts |= _facts(value, f"{prefix}{key} ")
        elif isinstance(value, list):
            facts[f"{prefix}{key}"] = " ".join(map(str, value))
        else:
            facts[f"{prefix}{key}"] = "none" if value is None else str(value)
    return facts
