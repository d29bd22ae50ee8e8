"""How many of so many kills of one of two processes leave a run that ends soon and, resumed, is bit for bit the same:

    python benchmarks/kill_one_of_two.py --kills 20

One process of the two, drawn at random, gets SIGKILL at a random moment of the training. The command must then end by
itself, with exit code 1 and a word about which process was killed; how long that took is printed.
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

PATIENCE = 60.0  # seconds in which the others should have ended


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--kills", type=int, default=20)
    arguments.add_argument("--seed", type=int, default=0)
    arguments.add_argument("--only", choices=RECIPES, action="append", help="this recipe's share of them alone")
    given = arguments.parse_args()
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    share = -(-given.kills // len(RECIPES))
    same, total, longest = 0, 0, 0.0
    for number, recipe in enumerate(RECIPES):
        if given.only and recipe not in given.only:
            continue
        draw = random.Random(given.seed + number)  # noqa: S311  # no secret
        with tempfile.TemporaryDirectory(prefix="zoo-kills-") as name:
            kills, ends = of_recipe(recipe, share, Path(name), draw)
        same, total, longest = same + kills, total + share, max(longest, *ends)
        print(f"{recipe:24}  {kills} of {share} kills: the same; ended within {max(ends):.1f} s", flush=True)
    print(f"{same} of {total}, ended within {longest:.1f} s")


def of_recipe(recipe: str, kills: int, folder: Path, draw: random.Random) -> tuple[int, list[float]]:
    """Kills that left the same run, and the seconds that each took to end the other process and the command."""
    words = [recipe, *SHORT, *RECIPES[recipe]]
    whole, broken = folder / "whole", folder / "broken"
    with begin(*words, "--folder", str(whole)) as run:
        wait_for(run, whole / "checkpoints")
        began = time.monotonic()
        run.communicate()
    training = time.monotonic() - began
    same, ends = 0, []
    while len(ends) < kills:
        with begin(*words, "--folder", str(broken)) as run:
            wait_for(run, broken / "metrics.jsonl")
            time.sleep(draw.uniform(0, 0.7 * training))
            processes = psutil.Process(run.pid).children() if run.poll() is None else []
            if processes:
                draw.choice(processes).kill()
            killed = time.monotonic()
            _, said = run.communicate()
        if run.returncode == 0:  # it had ended first
            shutil.rmtree(broken)
            continue
        ends.append(time.monotonic() - killed)
        if run.returncode != 1 or "was ended by SIGKILL" not in said or ends[-1] > PATIENCE:
            print(f"{recipe}: exit code {run.returncode} after {ends[-1]:.1f} s: {said}")
        with begin("--resume", str(broken)) as run:
            _, said = run.communicate()
        difference = compare(whole, broken) if run.returncode == 0 else said
        same += not difference
        if difference:
            print(f"{recipe}: {difference}")
        shutil.rmtree(broken)
    return same, ends


def begin(*words: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "zoo_core", "run", *words, "--processes", "2"]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def wait_for(run: subprocess.Popen[str], path: Path) -> None:
    while not path.exists() and run.poll() is None:
        time.sleep(0.01)


if __name__ == "__main__":
    main()
