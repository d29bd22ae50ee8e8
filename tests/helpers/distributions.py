"""Fake installed distributions: a module and a ``*.dist-info`` in a folder on ``sys.path``."""

from __future__ import annotations

import textwrap
from pathlib import Path


def install(site: Path, module: str, source: str, name: str | None = None, distribution: str | None = None) -> None:
    """Install ``module`` with the text ``source`` into ``site``, as plugin ``name`` of a distribution."""
    distribution = distribution or f"zoo-{module}"
    (site / f"{module}.py").write_text(textwrap.dedent(source))
    info = site / f"{distribution.replace('-', '_')}-1.2.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 1.2\n")
    (info / "entry_points.txt").write_text(f"[zoo]\n{name or module} = {module}\n")


def good(model: str, recipes: Path | None = None) -> str:
    """Source of a plugin that registers a model and optionally a file of recipes."""
    return f"""
        import zoo_core as zoo

        @zoo.hookimpl
        def zoo_register(registry):
            registry.model({model!r}, "collections:Counter", summary="A counter")
            {f"registry.recipes({str(recipes)!r})" if recipes else ""}
    """
