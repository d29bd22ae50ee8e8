"""Kill one of two processes of a run, resume the run, and count how often the result is bit for bit the same:

    python benchmarks/kill_one_of_two.py --kills 20

A random one of the two processes gets SIGKILL at a random moment of the training. The command must then end by itself
with exit code 1 and an error that names the killed process; the time until it ends is printed.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil
from kill_and_resume import RECIPES, SHORT

from zoo_core.tools.verify_resume import compare

TIMEOUT = 60.0  # seconds within which the command should end after a kill


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--kills", type=int, default=20)
    arguments.add_argument("--seed", type=int, default=0)
    arguments.add_argument(
        "--only", choices=RECIPES, action="append", help="only this recipe, with its part of the kills"
    )
    args = arguments.parse_args()
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    kills_per_recipe = -(-args.kills // len(RECIPES))
    same, total, longest = 0, 0, 0.0
    for number, recipe in enumerate(RECIPES):
        if args.only and recipe not in args.only:
            continue
        rng = random.Random(args.seed + number)  # noqa: S311  # no secret
        with tempfile.TemporaryDirectory(prefix="zoo-kills-") as name:
            kills, ends = kill_runs_of(recipe, kills_per_recipe, Path(name), rng)
        same, total, longest = same + kills, total + kills_per_recipe, max(longest, *ends)
        print(
            f"{recipe:24}  {kills} of {kills_per_recipe} kills: identical; ended within {max(ends):.1f} s", flush=True
        )
    print(f"{same} of {total} identical, ended within {longest:.1f} s")


def kill_runs_of(recipe: str, kills: int, folder: Path, rng: random.Random) -> tuple[int, list[float]]:
    """The number of kills with an identical result, and for each kill the seconds until the command ended."""
    overrides = [recipe, *SHORT, *RECIPES[recipe]]
    whole, broken = folder / "whole", folder / "broken"
    with start_run(*overrides, "--folder", str(whole)) as run:
        wait_for(run, whole / "checkpoints")
        start = time.monotonic()
        run.communicate()
    training = time.monotonic() - start
    same, ends = 0, []
    while len(ends) < kills:
        with start_run(*overrides, "--folder", str(broken)) as run:
            wait_for(run, broken / "metrics.jsonl")
            time.sleep(rng.uniform(0, 0.7 * training))
            processes = psutil.Process(run.pid).children() if run.poll() is None else []
            if processes:
                rng.choice(processes).kill()
            killed = time.monotonic()
            _, stderr = run.communicate()
        if run.returncode == 0:  # it ended before the kill
            shutil.rmtree(broken)
            continue
        ends.append(time.monotonic() - killed)
        if run.returncode != 1 or "was ended by SIGKILL" not in stderr or ends[-1] > TIMEOUT:
            print(f"{recipe}: exit code {run.returncode} after {ends[-1]:.1f} s: {stderr}")
        with start_run("--resume", str(broken)) as run:
            _, stderr = run.communicate()
        difference = compare(whole, broken) if run.returncode == 0 else stderr
        same += not difference
        if difference:
            print(f"{recipe}: {difference}")
        shutil.rmtree(broken)
    return same, ends


def start_run(*overrides: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "zoo_core", "run", *overrides, "--processes", "2"]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def wait_for(run: subprocess.Popen[str], path: Path) -> None:
    while not path.exists() and run.poll() is None:
        time.sleep(0.01)


if __name__ == "__main__":
    main()
