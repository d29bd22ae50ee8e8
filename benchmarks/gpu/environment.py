"""The environment of the processes that are started, so that a checkout suffices."""

from __future__ import annotations

import os
import tomllib
from importlib.metadata import entry_points
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent


def environment(data: Path, folder: Path) -> dict[str, str]:
    """This process's environment with the data, and with the checkout and its plugins found from every folder."""
    given = [Path(path).absolute() for path in os.environ.get("PYTHONPATH", "").split(os.pathsep) if path]
    paths = [ROOT, ROOT / "benchmarks", *given]
    if not entry_points(group="zoo"):
        paths.append(described(folder))
    return {
        **os.environ,
        "ZOO_DATA": str(data),
        "PYTHONPATH": os.pathsep.join(map(str, dict.fromkeys(paths))),
        "PYTHONUNBUFFERED": "1",
    }


def described(folder: Path) -> Path:
    """A folder with the metadata that an installation of the checkout would have, by which its plugins are found."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    metadata = folder / "installed" / f"zoo_core-{project['version']}.dist-info"
    metadata.mkdir(parents=True)
    text = f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n"
    (metadata / "METADATA").write_text(text, encoding="utf-8")
    points = [f"{name} = {target}" for name, target in project["entry-points"]["zoo"].items()]
    (metadata / "entry_points.txt").write_text("\n".join(["[zoo]", *points, ""]), encoding="utf-8")
    return metadata.parent
