"""From what was read of runs to one HTML file that asks for nothing else."""

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
from zoo_core.tools.report.previews import MOST_BYTES, read_film
from zoo_core.tools.report.read import Story

MARK = '<meta name="generator" content="zoo report">'


def write_report(stories: Sequence[Story], path: Path) -> None:
    """Write the page.

    Raises:
        NameTaken: if ``path`` is there, and no report.
        BadFile: if it can't be written.
    """
    refuse_others(path)
    try:
        write_atomically(path, render(stories))
    except OSError as error:
        raise BadFile(f"{path} can't be written: {error.strerror}.", "Choose another -o FILE.") from error


def refuse_others(path: Path) -> None:
    """Raises NameTaken if a file is there that ``zoo report`` did not write."""
    if not path.exists():
        return
    try:
        with path.open(encoding="utf-8", errors="replace") as file:
            ours = MARK in file.read(1000)
    except OSError:  # a folder, or a file that can't be read
        ours = False
    if not ours:
        raise NameTaken(f"{path} is there already, and is no report of zoo's.", "Choose another -o FILE.")


def render(stories: Sequence[Story]) -> str:
    """The page as HTML. All that comes from a run is escaped."""
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
    films = [read_film(RunFolder(metadata.path).previews, MOST_BYTES // len(stories)) for metadata in stories]
    labels = _labels(stories)
    data = {"runs": labels, "charts": _charts(stories), "films": [_frames(film.pictures) for film in films]}
    return environment.get_template("page.html").render(
        mark=Markup(MARK),  # noqa: S704  # zoo's own
        css=Markup(_file("vendor/uPlot.min.css") + _file("page.css")),  # noqa: S704
        javascript=Markup(_file("vendor/uPlot.iife.min.js") + "\n" + _file("page.js")),  # noqa: S704
        data=Markup(_in_script(data)),  # noqa: S704  # escaped there
        title=", ".join(dict.fromkeys(metadata.recipe for metadata in stories)),
        stories=stories,
        labels=labels,
        films=films,
        charts=data["charts"],
        evaluations=_evaluations(stories),
        differing=_rows(stories, differing=True),
        settings=_rows(stories, differing=False),
        environments=_environments(stories),
    )


def number(value: float | None) -> str:
    """With about four digits; a dash where there is none."""
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


def _in_script(data: Any) -> str:
    """JSON in which nothing can end the script it stands in."""
    text = json.dumps(data, allow_nan=False, ensure_ascii=True)
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _labels(stories: Sequence[Story]) -> list[str]:
    """Of each run its folder's name, with the recipe's if there are several recipes."""
    several = len({metadata.recipe for metadata in stories}) > 1
    names = [metadata.path.resolve().name for metadata in stories]
    labels = [f"{metadata.recipe} {name}" if several else name for metadata, name in zip(stories, names, strict=True)]
    return labels if len(set(labels)) == len(labels) else [str(metadata.path) for metadata in stories]


def _charts(stories: Sequence[Story]) -> list[dict[str, Any]]:
    """A chart for each metric, with a curve of every run that has it; details (``mse/3``) are last."""
    keys = dict.fromkeys((curve.evaluation, curve.name) for metadata in stories for curve in metadata.curves)
    charts = []
    for evaluation, name in sorted(keys, key=lambda key: ("/" in key[1], key[0])):
        curves: list[dict[str, Any] | None] = []
        for metadata in stories:
            held = (one for one in metadata.curves if (one.evaluation, one.name) == (evaluation, name))
            curve = next(held, None)
            curves.append({"steps": curve.steps, "values": curve.values} if curve else None)
        if evaluation and all(curve is None or len(curve["steps"]) < 2 for curve in curves):
            continue  # one evaluation is no curve: the table of figures has it
        charts.append({"name": name, "evaluation": evaluation, "detail": "/" in name, "curves": curves})
    return charts


def _frames(pictures: Sequence[Any]) -> list[dict[str, Any]]:
    return [{"step": picture.step, "source": picture.source} for picture in pictures]


def _evaluations(stories: Sequence[Story]) -> dict[str, Any]:
    """A row for each figure: of every run, and of every published weights of their recipes."""
    published = {one.name: one.metrics for metadata in stories for one in metadata.published}
    columns = [metadata.metrics for metadata in stories]
    names = dict.fromkeys(name for metrics in (*columns, *published.values()) for name in metrics)
    rows = [
        (name, [metrics.get(name) for metrics in columns], [metrics.get(name) for metrics in published.values()])
        for name in names
    ]
    return {"published": list(published), "rows": rows, "measured": any(columns)}


def _rows(stories: Sequence[Story], differing: bool) -> list[dict[str, Any]]:
    """Settings side by side: those that differ from the recipe or between the runs, or all the others."""
    held = [{one.key: one for one in metadata.settings} for metadata in stories]
    rows = []
    for key in dict.fromkeys(key for settings in held for key in settings):
        found = [settings.get(key) for settings in held]
        values = [one.value if one else None for one in found]
        apart = len(set(values)) > 1
        if (apart or any(one is not None and one.differs for one in found)) is not differing:
            continue
        said = {one.recipe for one in found if one is not None}
        recipe = said.pop() if len(said) == 1 else None
        marks = [one is not None and one.differs for one in found]
        rows.append({"key": key, "recipe": recipe, "cells": list(zip(values, marks, strict=True))})
    return rows


def _environments(stories: Sequence[Story]) -> list[tuple[str, list[str]]]:
    """What the runs ran on, a row for each fact."""
    columns = [_facts(metadata.environment) for metadata in stories]
    names = dict.fromkeys(name for facts in columns for name in facts)
    return [(name, [facts.get(name, "–") for facts in columns]) for name in names]  # noqa: RUF001


def _facts(environment: dict[str, Any], prefix: str = "") -> dict[str, str]:
    facts: dict[str, str] = {}
    for key, value in environment.items():
        if not prefix and key in ("warnings", "changed", "recipe"):
            continue  # said elsewhere
        if isinstance(value, dict):
            facts |= _facts(value, f"{prefix}{key} ")
        elif isinstance(value, list):
            facts[f"{prefix}{key}"] = " ".join(map(str, value))
        else:
            facts[f"{prefix}{key}"] = "none" if value is None else str(value)
    return facts
