"""A model of ``zoo demo`` with its form, its summary and its card."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from zoo_core.model import Model
from zoo_core.registry.catalog import Catalog
from zoo_core.tools.demo.controls import Form, build_form
from zoo_core.weights.card import table
from zoo_core.weights.header import Header, read_header
from zoo_core.weights.load import load, locate

_FRONT_MATTER = re.compile(r"\A---\n.*?\n---\n", re.DOTALL)
_IMAGE = re.compile(r"!\[[^\]]*\]\([^)]*\)")


@dataclass(frozen=True)
class Source:
    """One tab of the page."""

    name: str
    model: Model
    form: Form
    summary: str
    card: str
    """Markdown."""


def read_source(source: str, catalog: Catalog, device: str) -> Source:
    """Load ``source``: the name of published weights, a weights file or a run folder.

    Raises:
        ZooError: if there is no such model, or its controls do not fit its ``predict``.
    """
    header = read_header(locate(source, catalog))
    model, _ = load(header.path, catalog, device)
    summary = _summary(source, header, catalog)
    return Source(source, model, build_form(model), summary, _card(header))


def _summary(source: str, header: Header, catalog: Catalog) -> str:
    if source in catalog.weights and not Path(source).exists():
        return catalog.published(source).listed.summary
    return str(header.metadata.get("recipe", {}).get("summary") or header.summary())


def _card(header: Header) -> str:
    """The card next to the weights file, without images; otherwise tables of the metadata of the file."""
    card = header.path.with_suffix(".md")
    if card.is_file():
        return _IMAGE.sub("", _FRONT_MATTER.sub("", card.read_text(encoding="utf-8"))).strip()
    facts = header.describe()
    rows = {key: value for key, value in facts.items() if key not in ("name", "summary", "metrics", "settings")}
    settings = {one["key"]: one["value"] for one in facts["settings"]}
    parts = [("Metrics", facts["metrics"]), ("Weights", rows), ("Settings", settings)]
    return "\n\n".join(
        f"## {title}\n\n{table([('', ''), *((key, _cell(value)) for key, value in values.items())])}"
        for title, values in parts
        if values
    )


def _cell(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value).replace("|", "\\|")
