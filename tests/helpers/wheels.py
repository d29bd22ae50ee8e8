"""Build wheels of small plugins and install them with pip."""

from __future__ import annotations

import subprocess
import sys
import textwrap
import zipfile
from collections.abc import Iterable
from pathlib import Path


def make_wheel(
    folder: Path, module: str, source: str, *, name: str = "", distribution: str = "", target: str = ""
) -> Path:
    """Write a wheel of ``distribution`` with ``module`` of the text ``source`` as plugin ``name``."""
    distribution = distribution or f"zoo-{module}"
    label = f"{distribution.replace('-', '_')}-1.2"
    info = f"{label}.dist-info"
    wheel = folder / f"{label}-py3-none-any.whl"
    files = {
        f"{module}.py": textwrap.dedent(source),
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 1.2\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{info}/entry_points.txt": f"[zoo]\n{name or module} = {target or module}\n",
    }
    files[f"{info}/RECORD"] = "".join(f"{path},,\n" for path in [*files, f"{info}/RECORD"])
    with zipfile.ZipFile(wheel, "w") as archive:
        for path, text in files.items():
            archive.writestr(path, text)
    return wheel


def pip_install(wheels: Iterable[Path], site: Path) -> None:
    """Install ``wheels`` into the folder ``site``."""
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-index", "--no-deps", "--no-compile"]
    subprocess.run([*command, "--disable-pip-version-check", "--target", str(site), *map(str, wheels)], check=True)
