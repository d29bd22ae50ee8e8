"""All of the suite in one command, or some of it:

    ZOO_DATA=FOLDER python -m benchmarks
    ZOO_DATA=FOLDER python -m benchmarks --only loading.py saving_large.py

Each script runs in a process of its own, one after the other; what it prints goes by. Their ratios are printed as a
table, and written to FOLDER/benchmarks.json with every single measurement, FOLDER/benchmarks.md and
FOLDER/benchmarks.png. A script that fails, or whose peers are not installed, leaves its rows out of the table by name.
`pip install 'zoo-core[bench]'` installs the peers.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from datetime import date
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from benchmarks.page import page
from benchmarks.plot import plot
from benchmarks.rows import SCRIPTS, Script

HERE = Path(__file__).parent


def main() -> None:
    names = list(dict.fromkeys(script.name for script in SCRIPTS))
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=names, default=names, metavar="SCRIPT", help=", ".join(names))
    parser.add_argument("--output", type=Path, default=Path("benchmark-results"), metavar="FOLDER")
    parser.add_argument("--page", type=Path, metavar="JSON", help="measure nothing: make table and plot of this file")
    given = parser.parse_args()
    if given.page:
        results = json.loads(given.page.read_text(encoding="utf-8"))
    else:
        results = {"date": date.today().isoformat(), "scripts": {}}
        for script in SCRIPTS:
            if script.name in given.only:
                results["scripts"][script.key] = measured(script)
    given.output.mkdir(parents=True, exist_ok=True)
    (given.output / "benchmarks.json").write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    text = page(results)
    (given.output / "benchmarks.md").write_text(text, encoding="utf-8")
    plot(results, given.output / "benchmarks.png")
    print(text)


def measured(script: Script) -> dict[str, Any]:
    """What the script wrote; or, under ``failed``, how it ended."""
    print(f"\n== {script.name} {' '.join(script.arguments)}", flush=True)
    with TemporaryDirectory() as folder:
        output = Path(folder, "output.json")
        command = [sys.executable, str(HERE / script.name), *script.arguments, "--output", str(output)]
        code = subprocess.run(command, cwd=folder).returncode
        if code or not output.is_file():
            return {"failed": f"exit code {code}"}
        return dict(json.loads(output.read_text(encoding="utf-8")))


if __name__ == "__main__":
    main()
