"""Run all benchmarks of the suite, or some of them:

    ZOO_DATA=FOLDER python -m benchmarks
    ZOO_DATA=FOLDER python -m benchmarks --only loading.py saving_large.py

The scripts run one after the other, each in a separate process. Their ratios are printed as a table, and written to
FOLDER/benchmarks.json with all measurements, FOLDER/benchmarks.md and FOLDER/benchmarks.png. Rows of a script that
fails, or of a framework that is not installed, are marked as not measured. `pip install 'zoo-core[bench]'` installs
the frameworks. `python -m benchmarks --gpu` measures on a GPU instead; see `python -m benchmarks --gpu --help`.
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
    if "--gpu" in sys.argv[1:]:
        from benchmarks.gpu.suite import main as on_gpu

        on_gpu()
        return
    names = list(dict.fromkeys(script.name for script in SCRIPTS))
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=names, default=names, metavar="SCRIPT", help=", ".join(names))
    parser.add_argument("--output", type=Path, default=Path("benchmark-results"), metavar="FOLDER")
    parser.add_argument(
        "--page", type=Path, metavar="JSON", help="make the table and the plot from this file, without measuring"
    )
    args = parser.parse_args()
    if args.page:
        results = json.loads(args.page.read_text(encoding="utf-8"))
    else:
        results = {"date": date.today().isoformat(), "scripts": {}}
        for script in SCRIPTS:
            if script.name in args.only:
                results["scripts"][script.key] = run_script(script)
    args.output.mkdir(parents=True, exist_ok=True)
    (args.output / "benchmarks.json").write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    text = page(results, read_gpu(args.page.parent if args.page else args.output))
    (args.output / "benchmarks.md").write_text(text, encoding="utf-8")
    plot(results, args.output / "benchmarks.png")
    print(text)


def read_gpu(folder: Path) -> dict[str, Any] | None:
    """The results of `python -m benchmarks --gpu` beside the others, if there are any."""
    file = folder / "benchmarks-gpu.json"
    return dict(json.loads(file.read_text(encoding="utf-8"))) if file.is_file() else None


def run_script(script: Script) -> dict[str, Any]:
    """The JSON output of the script; if it fails, its exit code under ``failed``."""
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
