"""Fine-tuning with 500 examples compared with training from scratch, for the same number of steps.

The published weights `digit-classifier-mnist` have seen upright digits. Here digits are rotated by a quarter turn
(rotated_digits.py), and each training is evaluated on 2,000 rotated test digits.

    ZOO_DATA=FOLDER python benchmarks/fine_tuning.py --seeds 0 1 2 --steps 30
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from measuring import data_root, load_average, machine, write

PLUGIN = Path(__file__).with_name("rotated_digits.py")
START = "run.init_from=digit-classifier-mnist"
TRAININGS = {
    "from scratch": [],
    "fine-tuned": [START],
    "fine-tuned, first three blocks frozen": [START, 'run.freeze=["layers.[0-8]"]'],
}


def accuracy(words: list[str], seed: int, steps: int, folder: Path) -> float:
    """The test accuracy of one training."""
    command = [sys.executable, "-m", "zoo_core", "--plugin", str(PLUGIN), "run", "rotated-digits"]
    command += [f"run.seed={seed}", f"run.steps={steps}", *words, "--folder", str(folder)]
    environment = {"ZOO_PLUGIN_TIMEOUT": "600", **os.environ}  # on a busy machine
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    if done.returncode:
        sys.exit(f"{' '.join(command)} failed:\n{done.stderr}")
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text(encoding="utf-8").splitlines()]
    return float(next(line["accuracy"] for line in reversed(lines) if line.get("evaluation")))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--steps", type=int, default=30)
    parser.add_argument("--output", type=Path, help="write everything to this JSON file")
    args = parser.parse_args()
    data_root()
    before = load_average()
    found: dict[str, list[float]] = {name: [] for name in TRAININGS}
    with TemporaryDirectory() as temporary:
        for seed in args.seeds:
            for number, (name, words) in enumerate(TRAININGS.items()):
                found[name].append(accuracy(words, seed, args.steps, Path(temporary, f"{seed}-{number}")))
                print(f"seed {seed}, {name}: accuracy {found[name][-1]:.4f}", flush=True)
    scratch = found["from scratch"]
    rows: dict[str, Any] = {}
    for name, values in found.items():
        margins = [value - other for value, other in zip(values, scratch, strict=True)]
        rows[name] = {"accuracy": values, "mean": statistics.mean(values), "margin": statistics.mean(margins)}
        rows[name]["smallest_margin"] = min(margins)
        print(f"{name}: accuracy {rows[name]['mean']:.4f}, margin {rows[name]['margin']:+.4f}")
    result = {
        "machine": machine(),
        "steps": args.steps,
        "seeds": args.seeds,
        "load_average": {"before": before, "after": load_average()},
        "trainings": rows,
    }
    write(args.output, result)


if __name__ == "__main__":
    main()
