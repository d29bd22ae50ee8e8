"""Generate docs/gallery.md from the registries and the weights files: python scripts/make_gallery.py

With --check nothing is written, and the exit code is 1 if the page is out of date.
"""

from __future__ import annotations

import shlex
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from zoo_core.config.settings import from_dataset
from zoo_core.errors import in_yaml
from zoo_core.registry.catalog import Catalog
from zoo_core.registry.resolve import resolve
from zoo_core.registry.weights_index import Entry
from zoo_core.weights.cache import local_path
from zoo_core.weights.header import read_header

PAGE = Path(__file__).parents[1] / "docs" / "gallery.md"
HEAD = """<!-- Generated from the registries and the weights files by scripts/make_gallery.py. -->

# Gallery

All models with weights in the package: their outputs, their metrics, and the commands that reproduce them.
[Models](models.md) describes how they are evaluated, and compares them with results of others.
"""


def main() -> int:
    here = Catalog()
    text = "\n".join([HEAD, *(section(entry, here) for entry in shipped(here))])
    if "--check" in sys.argv:
        return int(not PAGE.is_file() or PAGE.read_text(encoding="utf-8") != text)
    PAGE.write_text(text, encoding="utf-8")
    return 0


def shipped(here: Catalog) -> list[Entry]:
    """The weights of the bundled plugins."""
    entries = [here.weights.get(*key) for key in here.weights]
    return [one for one in entries if "zoo_plugins" in one.file.parts and one.listed.alias is None]


def section(entry: Entry, here: Catalog) -> str:
    name, listed, metadata = entry.name, entry.listed, read_header(local_path(entry)).metadata
    image = PAGE.parent / "pictures" / f"{name}.png"
    lines = [f"## {name}", "", f"{listed.summary}."]
    if image.is_file():
        lines += ["", f"![Outputs of {name}](pictures/{image.name})"]
    lines += ["", "| metric | |", "| --- | --- |"]
    lines += [f"| {metric} | {value:g} |" for metric, value in listed.metrics.items()]
    lines += ["", f"**Protocol.** {str(metadata['protocol']).rstrip('.')}.", ""]
    lines += ["| | |", "| --- | --- |", f"| model | `{listed.model}` |", f"| recipe | `{listed.recipe}` |"]
    lines += [f"| inputs | {_named(listed.inputs)} |", f"| outputs | {_named(listed.outputs)} |"]
    lines += [f"| license | {listed.license} |", f"| size | {(listed.size or 0) / 2**20:.1f} MiB |"]
    lines += ["", "```python", "import zoo_core as zoo", "", f'model = zoo.load("{name}")', "```"]
    arguments = " ".join([str(listed.recipe), *changed(metadata["recipe"], str(listed.recipe), here)])
    lines += ["", "```bash", f"zoo run {arguments}", f"zoo eval {name}         # evaluate these weights again"]
    lines += [f"zoo reproduce {name}    # train them again and compare the metrics", "```", ""]
    return "\n".join(lines)


def _named(values: Mapping[str, str]) -> str:
    return "; ".join(f"`{name}`: {kind}" for name, kind in values.items())


def changed(trained: Mapping[str, Any], recipe: str, here: Catalog) -> Iterator[str]:
    """What the published weights were trained with and the recipe has otherwise, as words behind ``zoo run``.

    What the dataset provides is left out.
    """
    resolved = resolve(here.recipe(recipe), here)
    for part in ("model", "dataset", "trainer", "run"):
        loaded = resolved.load().get(part)
        provided = from_dataset(loaded.component.Config) if loaded else {}
        for key, value in trained[part].items():
            if key not in ("name", *provided) and resolved.recipe.values[part].get(key) != value:
                yield shlex.quote(f"{part}.{key}={in_yaml(value)}")


if __name__ == "__main__":
    sys.exit(main())
