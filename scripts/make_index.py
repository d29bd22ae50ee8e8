"""Generate the index of the example plugins, examples/plugins.json: python scripts/make_index.py

With --check nothing is written, and the exit code is 1 if the file is out of date. The examples need not be installed:
their metadata are made of their pyproject.toml, and the index is what `zoo plugins index` prints.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[1]
EXAMPLES = ROOT / "examples"
INDEX = EXAMPLES / "plugins.json"


def main() -> int:
    current = index()
    if "--check" in sys.argv:
        return int(not INDEX.is_file() or current != INDEX.read_text(encoding="utf-8"))
    INDEX.write_text(current, encoding="utf-8")
    return 0


def index() -> str:
    """The index of all folders in ``examples`` that have a pyproject.toml."""
    projects = {
        path.parent: tomllib.loads(path.read_text(encoding="utf-8"))["project"]
        for path in sorted(EXAMPLES.glob("*/pyproject.toml"))
    }
    with tempfile.TemporaryDirectory() as site:
        for project in projects.values():
            _install(Path(site), project)
        plugins = [name for project in projects.values() for name in project["entry-points"]["zoo"]]
        paths = [site, *map(str, projects), str(ROOT)]
        environment = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join(paths),
            "ZOO_PLUGINS": ",".join(plugins),
            "ZOO_HOME": site,
        }
        command = [sys.executable, "-m", "zoo_core", "plugins", "index", *plugins]
        return subprocess.run(command, cwd=site, env=environment, capture_output=True, text=True, check=True).stdout  # noqa: S603


def _install(site: Path, project: dict[str, str | dict[str, dict[str, str]]]) -> None:
    """Write the metadata of an installed distribution, whose modules stay where they are."""
    info = site / f"{str(project['name']).replace('-', '_')}-{project['version']}.dist-info"
    info.mkdir()
    stated = {"Name": project["name"], "Version": project["version"], "Summary": project.get("description", "")}
    lines = ["Metadata-Version: 2.4", *(f"{key}: {value}" for key, value in stated.items())]
    (info / "METADATA").write_text("\n".join(lines) + "\n", encoding="utf-8")
    points = [f"{name} = {target}" for name, target in project["entry-points"]["zoo"].items()]  # type: ignore[union-attr]
    (info / "entry_points.txt").write_text("\n".join(["[zoo]", *points]) + "\n", encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
