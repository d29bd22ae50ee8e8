"""The test metrics and the run time of a recipe: runs `zoo run RECIPE` once for each seed.

The seconds are those of the whole command, including the evaluation. The metrics are those of the evaluation after the
last step, read from metrics.jsonl.

    python benchmarks/quality.py clsgan-mnist --seeds 0 1 2 --overrides run.threads=2
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from measuring import load_average, machine, write

ZOO = str(Path(sys.executable).with_name("zoo"))


def train(recipe: str, seed: int, overrides: Sequence[str], folder: Path) -> dict[str, Any]:
    """The seed, seconds, steps and test metrics of one run."""
    command = [ZOO, "run", recipe, f"run.seed={seed}", *overrides, "--folder", str(folder)]
    started = time.perf_counter()
    done = subprocess.run(command, capture_output=True, text=True)
    took = time.perf_counter() - started
    if done.returncode:
        sys.exit(f"{' '.join(command)} failed:\n{done.stderr}")
    for line in done.stderr.splitlines():
        if line.startswith("warning:"):
            print(line)
    return {"seed": seed, "seconds": took, **last_evaluation(folder / "metrics.jsonl")}


def last_evaluation(metrics: Path) -> dict[str, Any]:
    """The step and the metrics of the last evaluation; only the last step if there is no evaluation."""
    lines = [json.loads(line) for line in metrics.read_text(encoding="utf-8").splitlines()]
    evaluations = [line for line in lines if line.pop("evaluation", False)]
    if evaluations:
        last = evaluations[-1]
        return {"steps": last.pop("step"), **last}
    return {"steps": lines[-1]["step"] if lines else 0}


def show(rows: Sequence[dict[str, Any]]) -> None:
    """Print a line for each seed, and the median of every column."""
    median = {name: statistics.median(row[name] for row in rows) for name in rows[0]}
    cells = [list(rows[0]), *([_number(value) for value in row.values()] for row in rows)]
    cells.append(["median", *(_number(value) for name, value in median.items() if name != "seed")])
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    for line in cells:
        print("  ".join(cell.rjust(width) for cell, width in zip(line, widths, strict=True)))


def _number(value: float) -> str:
    return str(value) if isinstance(value, int) else f"{value:.4g}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recipe")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--overrides", nargs="*", default=[], metavar="KEY=VALUE")
    parser.add_argument("--folder", type=Path, help="keep the runs here as seed-N; otherwise they are deleted")
    parser.add_argument("--output", type=Path, help="write everything to this JSON file")
    args = parser.parse_args()
    before = load_average()
    with TemporaryDirectory() as temporary:
        folder = args.folder or Path(temporary)
        rows = []
        for seed in args.seeds:
            rows.append(train(args.recipe, seed, args.overrides, folder / f"seed-{seed}"))
            print(json.dumps(rows[-1]), flush=True)
    show(rows)
    after = load_average()
    print(f"load average before: {before}, afterwards: {after}")
    result = {
        "machine": machine(),
        "recipe": args.recipe,
        "overrides": args.overrides,
        "load_average": {"before": before, "after": after},
        "runs": rows,
    }
    write(args.output, result)


if __name__ == "__main__":
    main()
