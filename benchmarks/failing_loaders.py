"""Runs whose dataset fails in a loader worker, one after another: the exit code, the lines of the error, what is left.

Each way to fail of ``tests/helpers/failing_examples.py`` is tried in the training and in the test split, example by
example and in whole batches, with one to three workers, drawn at random; with ``--signals`` the runs get SIGTERM or
SIGINT at a random moment instead, while an example takes a minute or its worker is stopped. A trial is good if the
error has two lines (none after a signal), if the exit code is 1 or 2 (143 or 130 after a signal), and if no worker is
left when the error is printed or the run ends. The seconds are those from the error or the signal to the end of the
run; on an idle machine they should be below five.

    python benchmarks/failing_loaders.py --trials 200
    python benchmarks/failing_loaders.py --trials 200 --signals
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import psutil

ROOT = Path(__file__).resolve().parent.parent
HELPERS = ROOT / "tests" / "helpers"
SILENT = ("sleeps", "sleeps-deaf", "stops", "large")  # what does not fail by itself


def trial(how: str, draw: random.Random, folder: str, stop: signal.Signals | None) -> tuple[str, float]:
    """What was wrong with one run, or "", and the seconds from its error or its signal to its end."""
    split = draw.choice(["train", "test"]) if stop is None else "train"
    words = [f"dataset.how={how}", f"dataset.split={split}", f"dataset.at={draw.randrange(16)}", "run.steps=12"]
    words += [f"run.workers={draw.randint(1, 3)}", f"dataset.at_once={draw.choice(['true', 'false'])}"]
    command = [sys.executable, "-m", "zoo_core", "--plugin", str(HELPERS / "failing_examples.py"), "run", "failing"]
    environment = {**os.environ, "PYTHONPATH": f"{ROOT}:{HELPERS}", "OMP_NUM_THREADS": "1"}
    wrong, said, workers, start = [], [], [], time.monotonic()
    with subprocess.Popen(
        [*command, *words], cwd=folder, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as run:
        process = psutil.Process(run.pid)
        if stop is not None:
            while not process.children() and run.poll() is None:
                time.sleep(0.01)
            time.sleep(draw.uniform(0, 3))
            if run.poll() is not None:
                return f"ended with {run.returncode} before the signal: {(run.stderr or sys.stdin).read()}", 0.0
            workers = process.children()
            run.send_signal(stop)
            start = time.monotonic()
        for line in run.stderr or ():
            if line.startswith("error:"):
                start = time.monotonic()
                workers = [child for child in process.children() if child.status() != psutil.STATUS_ZOMBIE]
                wrong += [f"{len(workers)} workers are left when the error is printed"] * bool(workers)
            if said or line.startswith(("error:", "Traceback", "Process")):
                said.append(line)
        run.wait()
    seconds = time.monotonic() - start
    if alive := psutil.wait_procs(workers, timeout=0.1)[1]:
        wrong.append(f"{len(alive)} workers are left")
    if run.returncode not in ((1, 2) if stop is None else (128 + stop,)):
        wrong.append(f"exit code {run.returncode}")
    if len(said) != (2 if stop is None else 0):
        wrong.append(f"{len(said)} lines: {said}")
    return f"{' '.join(words)}: {', '.join(wrong)}" if wrong else "", seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--signals", action="store_true")
    args = parser.parse_args()
    sys.path.insert(0, str(HELPERS))
    from failing_examples import WAYS

    draw = random.Random(args.seed)  # noqa: S311  # not for cryptography
    ways = [how for how in WAYS if how not in SILENT]
    bad, times = 0, []
    for number in range(args.trials):
        stop = draw.choice([signal.SIGTERM, signal.SIGINT]) if args.signals else None
        how = ways[number % len(ways)] if stop is None else draw.choice(["sleeps", "sleeps-deaf", "stops"])
        with TemporaryDirectory() as folder:
            wrong, seconds = trial(how, draw, folder, stop)
        bad += bool(wrong)
        times.append(seconds)
        print(f"{number + 1} of {args.trials}: {how}, {seconds:.1f} s, {wrong or 'good'}", flush=True)
    print(f"{args.trials - bad} of {args.trials} trials are good; the longest took {max(times):.1f} s")
    sys.exit(bad > 0)


if __name__ == "__main__":
    main()
