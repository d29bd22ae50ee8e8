"""Generate the table of all published models in docs/models.md: python scripts/make_model_table.py

With --check nothing is written, and the exit code is 1 if the table is out of date.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from zoo_core.registry.catalog import Catalog
from zoo_core.registry.weights_index import Entry

PAGE = Path(__file__).parents[1] / "docs" / "models.md"
BEGIN = "<!-- The table below is made from the registries by scripts/make_model_table.py. -->"
END = "<!-- End of the table. -->"


def main() -> int:
    page = PAGE.read_text(encoding="utf-8")
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    current = f"{before}{BEGIN}\n\n{table(shipped())}\n{END}{after}"
    if "--check" in sys.argv:
        return int(current != page)
    PAGE.write_text(current, encoding="utf-8")
    return 0


def shipped() -> list[Entry]:
    """The weights of the bundled plugins."""
    weights = Catalog().weights
    ours = [entry for entry in (weights.get(*key) for key in weights) if "zoo_plugins" in entry.file.parts]
    return [entry for entry in ours if entry.listed.alias is None]


def table(entries: list[Entry]) -> str:
    rows = ["| weights | MiB | license | metrics | source |", "| --- | --- | --- | --- | --- |"]
    for entry in entries:
        listed = entry.listed
        size = f"{(listed.size or 0) / 2**20:.1f}"
        rows.append(f"| **{entry.name}** | {size} | {listed.license} | {_metrics(listed.metrics)} | zoo |")
        for other, result in listed.beside.items():
            metrics = {key: value for key, value in result.items() if key != "source"}
            rows.append(f"| {other} | | | {_metrics(metrics)} | {result['source']} |")
    return "\n".join(rows) + "\n"


def _metrics(metrics: dict[str, Any]) -> str:
    return ", ".join(
        f"{name} {value:g}" if isinstance(value, float) else f"{name} {value}" for name, value in metrics.items()
    )


if __name__ == "__main__":
    sys.exit(main())
